/*
 * casehook: pushes cases (incidents, alerts, tickets) to any case system, from within your program.
 *
 * A push is stored in a SQLite file and delivered by threads of casehook's own as a connector document describes; it
 * survives crashes, power cuts and targets that are away for weeks.
 *
 *     casehook_agent *agent;
 *     casehook_error *err;
 *     if (casehook_open("cases.db", NULL, &agent, &err) != CASEHOOK_OK) {
 *         fprintf(stderr, "%s\n", casehook_error_message(err));
 *         casehook_error_free(err);
 *         return 1;
 *     }
 *
 * Link with -lcasehook, or with what `pkg-config --cflags --libs casehook` prints.
 *
 * What holds for every function:
 *
 * Results. A call that can fail returns a casehook_result, CASEHOOK_OK (0) when it succeeded. Its last argument `err` may
 * be NULL; otherwise *err becomes NULL at success, and at failure an error that is the caller's, for casehook_error_free()
 * (an error that was there before is overwritten, not freed). "Errors:" names the likely results without their
 * CASEHOOK_ERROR_; ARGUMENT, CLOSED, FORKED and INTERNAL can come from every call. That a delivery failed is no error of a
 * call: it is in the push's status, with its reason.
 *
 * Outputs. `out_*` come after the inputs and must not be NULL. A call that fails leaves them NULL, 0 or false.
 *
 * Text. Strings in are NUL-terminated UTF-8, paths too; other bytes are refused with an ARGUMENT that says where. Strings
 * out are UTF-8; a U+0000 that a target sent comes out as U+FFFD. JSON documents are the same as in the other languages.
 *
 * Ownership. What is passed in stays the caller's and is only read during the call. A `char *` out is the caller's, for
 * casehook_string_free(); a `const char *` out is borrowed from the object that it was asked of. Each object has one
 * function that frees it, which ignores NULL.
 *
 * Threads. An agent may be used by any number of threads at once. Options, statuses and errors are plain data: any thread,
 * but not one that changes or frees them while another one uses them. Nothing is kept by thread. Calls block while they
 * read or write the database, never for the network, except casehook_wait(), casehook_flush(), casehook_test_json() and
 * casehook_test_get_json(). No code of the program runs on casehook's threads, except the log callback. Nothing needs to
 * be set up before the first call, and the program may end with agents open.
 *
 * Signals. casehook sets no handlers and raises no signals, SIGPIPE included. Its threads block all signals but those of a
 * fault (SIGSEGV, SIGABRT and their like), so that no handler of the program runs on them; the mask of a calling thread
 * stays as it is. No function may be called from a signal handler.
 *
 * Fork. A child must not use the agents of its parent: every call with one fails with FORKED, and only
 * casehook_agent_free() may follow. What was open at the fork cannot be opened in the child; other databases can. A program
 * that forks opens the database after the fork. A child that calls exec at once needs to do nothing: no file of casehook's
 * stays open in the new program.
 *
 * Faults. Should casehook run into a fault of its own, the call returns INTERNAL, and so does every later call with that
 * agent but casehook_agent_free(); no panic crosses into the program. What was accepted is on disk.
 *
 * Files. Do not open the database with another SQLite in the same process, nor read it with plain file calls while it is
 * open here: closing it would release casehook's locks. casehook_backup() makes a copy.
 *
 * Versions. Names, numbers and the layout of structs stay as they are; new functions, numbers and, where a struct begins
 * with its size, members are added. A program that was built against an older header runs with a newer library; one that
 * meets a number it does not know asks for the name or the text, which are there for every number. Members of JSON
 * documents may be added too. The shared library stays loaded once it is (dlclose() does not unload it), for it has threads.
 *
 * Made from the sources in bindings/c by `make header`; do not edit.
 */

#ifndef CASEHOOK_H
#define CASEHOOK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** The version of this header; casehook_version() is that of the library. */
#define CASEHOOK_VERSION "0.1.0"
#define CASEHOOK_VERSION_MAJOR 0
#define CASEHOOK_VERSION_MINOR 1
#define CASEHOOK_VERSION_PATCH 0
/** The same as one number that can be compared: 0xMMNNPP. */
#define CASEHOOK_VERSION_NUM \
    (CASEHOOK_VERSION_MAJOR << 16 | CASEHOOK_VERSION_MINOR << 8 | CASEHOOK_VERSION_PATCH)

/** An empty case: `casehook_case c = CASEHOOK_CASE_INIT;` and then c.title = ...; */
#define CASEHOOK_CASE_INIT \
    {sizeof(casehook_case), NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0, NULL, 0, NULL}

/** What a call came to. Numbers are never reused; a later version may add some. */
enum casehook_result
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /** It succeeded. */
    CASEHOOK_OK = 0,
    /** A connector or settings document was refused; nothing was stored. */
    CASEHOOK_ERROR_CONFIG = 1,
    /** A case was refused; nothing was stored. */
    CASEHOOK_ERROR_CASE = 2,
    /** An argument has no meaning for the call: a null pointer, text that is not UTF-8, an empty name. */
    CASEHOOK_ERROR_ARGUMENT = 3,
    /** There is no connector or push of that name or number. */
    CASEHOOK_ERROR_NOT_FOUND = 4,
    /** The push or connector is in a state that does not allow the call. */
    CASEHOOK_ERROR_STATE = 5,
    /** The agent was closed. */
    CASEHOOK_ERROR_CLOSED = 6,
    /** The agent was opened in a process of which this one is a fork. */
    CASEHOOK_ERROR_FORKED = 7,
    /** The time allowed for the call ran out. */
    CASEHOOK_ERROR_TIMEOUT = 8,
    /** casehook itself is at fault; the agent refuses everything but casehook_agent_free() from then on. */
    CASEHOOK_ERROR_INTERNAL = 9,
    /** The database could not be read or written. */
    CASEHOOK_ERROR_STORE = 10,
    /** Another process holds the database for longer than the call waits. */
    CASEHOOK_ERROR_BUSY = 11,
    /** The database is damaged or is not a casehook database; it was left untouched. */
    CASEHOOK_ERROR_CORRUPT = 12,
    /** The database was written by a newer casehook; it was left untouched. */
    CASEHOOK_ERROR_SCHEMA_TOO_NEW = 13,
    /** The outbox holds as many undelivered pushes as it may. */
    CASEHOOK_ERROR_QUEUE_FULL = 14,
    /** The disk is full. */
    CASEHOOK_ERROR_DISK_FULL = 15,
    /** The key that opens the stored secrets is missing or wrong, or a secret's row is damaged. */
    CASEHOOK_ERROR_KEY = 16,
    /** Another copy of casehook in this process has the database open. */
    CASEHOOK_ERROR_SECOND_COPY = 17,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum casehook_result casehook_result;
#else
typedef int32_t casehook_result;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/** Where a push stands. Numbers are never reused; a later version may add some. */
enum casehook_state
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /** None of those below; casehook_status_state_name() tells. */
    CASEHOOK_STATE_UNKNOWN = 0,
    /** Accepted; nothing was sent for it yet, or its turn has not come again. */
    CASEHOOK_STATE_QUEUED = 1,
    /** A request of it is on its way, or a step was just finished. */
    CASEHOOK_STATE_SENDING = 2,
    /** A retry is scheduled. */
    CASEHOOK_STATE_WAITING = 3,
    /** Needs a decision: casehook_retry(), casehook_adopt() or casehook_cancel(). */
    CASEHOOK_STATE_HELD = 4,
    /** Every step is done. */
    CASEHOOK_STATE_DELIVERED = 5,
    /** Given up; keeps its external id and the step it failed at. */
    CASEHOOK_STATE_FAILED = 6,
    /** A later push of the same case took its place before anything was sent. */
    CASEHOOK_STATE_SUPERSEDED = 7,
    /** Cancelled by the program. */
    CASEHOOK_STATE_CANCELLED = 8,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum casehook_state casehook_state;
#else
typedef int32_t casehook_state;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/** How grave a log message is, the gravest first. */
enum casehook_log_level
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /** Something does not work and needs somebody's attention. */
    CASEHOOK_LOG_ERROR = 1,
    /** Something failed and is tried again, or was refused by a target. */
    CASEHOOK_LOG_WARN = 2,
    /** What happens now and then. */
    CASEHOOK_LOG_INFO = 3,
    /** Every exchange. */
    CASEHOOK_LOG_DEBUG = 4,
    /** More than anybody wants. */
    CASEHOOK_LOG_TRACE = 5,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum casehook_log_level casehook_log_level;
#else
typedef int32_t casehook_log_level;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/** An open outbox and, unless told otherwise, the threads that deliver it. */
typedef struct casehook_agent casehook_agent;

/** Why a call failed. Made by a failing call that was given a place for it, freed by casehook_error_free(). */
typedef struct casehook_error casehook_error;

/** How an agent is opened. A new one holds the defaults, which are right for most programs. */
typedef struct casehook_options casehook_options;

/** Where a push stood when it was asked for. It does not change afterwards. */
typedef struct casehook_status casehook_status;

/** One comment of a case. This struct never grows. */
typedef struct casehook_comment {
    /** The program's id of the comment, under which it is sent once; NULL or "" for none. */
    const char *id;
    /** The text. */
    const char *text;
} casehook_comment;

/**
 * A case as the program hands it in. Start it with CASEHOOK_CASE_INIT, which sets `size` and leaves the rest empty: later
 * versions add members at the end, and know by `size` which ones are there. The texts are only read during the call.
 */
typedef struct casehook_case {
    /** sizeof(casehook_case). */
    size_t size;
    /** The title. It may be empty, but not NULL. */
    const char *title;
    /** The program's own id of the case, or NULL: later pushes under it update the same incident. */
    const char *id;
    /** The description, or NULL. */
    const char *description;
    /** The severity in the program's words, or NULL. */
    const char *severity;
    /** The status in the program's words, or NULL. */
    const char *status;
    /** The incident to update, where the program knows it; or NULL. */
    const char *external_id;
    /** The program's own fields as a JSON object, for {{{case.fields.NAME}}}; or NULL. */
    const char *fields_json;
    /** `tag_count` tags; NULL when there are none. */
    const char *const *tags;
    /** How many tags there are. */
    size_t tag_count;
    /** `comment_count` comments, oldest first; NULL when there are none. */
    const struct casehook_comment *comments;
    /** How many comments there are. */
    size_t comment_count;
    /**
     * A W3C trace context that goes along with each request of this push, as in the header `traceparent`; or NULL.
     */
    const char *traceparent;
} casehook_case;

/**
 * Takes a log message: the pointer given with the callback, the level, and the text, which is valid during the call only.
 */
typedef void (*casehook_log_callback)(void *user_data, casehook_log_level level, const char *message);

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * The result of the call that failed.
 *
 * Ownership: takes none. Threads: any. Errors: CASEHOOK_OK for NULL.
 */
casehook_result casehook_error_code(const struct casehook_error *error);

/**
 * The stable name of the error's code, such as "not_found".
 *
 * Ownership: borrowed from the error, valid until it is freed. Threads: any. Errors: NULL for NULL.
 */
const char *casehook_error_name(const struct casehook_error *error);

/**
 * What is wrong and what would be right, for people; it names the field at fault and holds no secret.
 *
 * Ownership: borrowed from the error, valid until it is freed. Threads: any. Errors: NULL for NULL.
 */
const char *casehook_error_message(const struct casehook_error *error);

/**
 * The argument or the path of the value at fault, such as "config.createIncidentUrl"; NULL where no single one is.
 *
 * Ownership: borrowed from the error, valid until it is freed. Threads: any. Errors: NULL for NULL.
 */
const char *casehook_error_field(const struct casehook_error *error);

/**
 * Whether the same call can succeed later without anything being changed.
 *
 * Ownership: takes none. Threads: any. Errors: false for NULL.
 */
bool casehook_error_is_retryable(const struct casehook_error *error);

/**
 * Frees an error; NULL is ignored.
 *
 * Ownership: takes the error. Threads: any, once. Errors: none.
 */
void casehook_error_free(struct casehook_error *error);

/**
 * Frees a string that a casehook function gave out as the caller's own; NULL is ignored.
 *
 * Ownership: takes the string. Threads: any, once. Errors: none.
 */
void casehook_string_free(char *string);

/**
 * The version of the library that is loaded, such as "0.1.0"; CASEHOOK_VERSION is that of the header.
 *
 * Ownership: borrowed, valid for ever. Threads: any, also in a forked child. Errors: none.
 */
const char *casehook_version(void);

/**
 * The defaults: four workers that deliver, the key from CASEHOOK_KEY or a key file beside the database.
 *
 * Ownership: the caller's, for casehook_options_free(). Threads: any. Errors: NULL only at a fault of casehook's own.
 */
struct casehook_options *casehook_options_new(void);

/**
 * Frees options; NULL is ignored. Agents that were opened with them keep what they need.
 *
 * Ownership: takes the options. Threads: any, once. Errors: none.
 */
void casehook_options_free(struct casehook_options *options);

/**
 * The key that encrypts stored secrets: `length` bytes, exactly 32. In place of CASEHOOK_KEY and the key file.
 *
 * Ownership: the key is copied, and the copy wiped when no longer needed. Threads: one at a time for one object.
 * Errors: ARGUMENT.
 */
casehook_result casehook_options_set_key(struct casehook_options *options,
                                         const uint8_t *key,
                                         size_t length,
                                         struct casehook_error **err);

/**
 * Settings that hold for every connector, as a JSON object: allowedHosts, responseTimeout and so on.
 *
 * Ownership: the text is only read. Threads: one at a time for one object. Errors: CONFIG names the setting, ARGUMENT.
 */
casehook_result casehook_options_set_settings_json(struct casehook_options *options,
                                                   const char *json,
                                                   struct casehook_error **err);

/**
 * How many threads deliver at once: 1 to 64, 4 by default. casehook_open() refuses other numbers.
 *
 * Ownership: takes none. Threads: one at a time for one object. Errors: ARGUMENT.
 */
casehook_result casehook_options_set_workers(struct casehook_options *options,
                                             uint32_t workers,
                                             struct casehook_error **err);

/**
 * Whether the agent delivers (the default) or only stores and reads, for another process to deliver.
 *
 * Ownership: takes none. Threads: one at a time for one object. Errors: ARGUMENT.
 */
casehook_result casehook_options_set_drain(struct casehook_options *options,
                                           bool drain,
                                           struct casehook_error **err);

/**
 * How many undelivered pushes the outbox may hold, 1,000,000 by default; held and failed ones count.
 *
 * Ownership: takes none. Threads: one at a time for one object. Errors: ARGUMENT.
 */
casehook_result casehook_options_set_max_queued(struct casehook_options *options,
                                                uint64_t count,
                                                struct casehook_error **err);

/**
 * How long (in seconds, 30 days by default) and how many (100,000 by default) delivered, superseded and cancelled pushes
 * are kept.
 *
 * Ownership: takes none. Threads: one at a time for one object. Errors: ARGUMENT.
 */
casehook_result casehook_options_set_history(struct casehook_options *options,
                                             uint64_t age_s,
                                             uint64_t count,
                                             struct casehook_error **err);

/**
 * The names of the environment variables that a connector's secrets may refer to; none by default.
 *
 * Ownership: the `count` names are copied. Threads: one at a time for one object. Errors: ARGUMENT.
 */
casehook_result casehook_options_set_secret_env(struct casehook_options *options,
                                                const char *const *names,
                                                size_t count,
                                                struct casehook_error **err);

/**
 * The directory below which a connector's secrets may refer to files; none by default.
 *
 * Ownership: the text is copied. Threads: one at a time for one object. Errors: ARGUMENT.
 */
casehook_result casehook_options_set_secret_dir(struct casehook_options *options,
                                                const char *path,
                                                struct casehook_error **err);

/**
 * Whether a database may belong to another user, or lie in or below a folder that anybody may write to; false by default,
 * since whoever can put files there can replace it.
 *
 * Ownership: takes none. Threads: one at a time for one object. Errors: ARGUMENT.
 */
casehook_result casehook_options_set_trust_location(struct casehook_options *options,
                                                    bool trust,
                                                    struct casehook_error **err);

/**
 * With an outbox in PostgreSQL: the file that takes pushes while the server cannot be reached, and forwards them in order,
 * each once, when it can. None by default: a push then fails with BUSY. Their numbers are negative and stay valid.
 * casehook_open() refuses a spool before a file.
 *
 * Ownership: the text is copied. Threads: one at a time for one object. Errors: ARGUMENT.
 */
casehook_result casehook_options_set_spool(struct casehook_options *options,
                                           const char *path,
                                           struct casehook_error **err);

/**
 * Opens the database at `path`, creating it (readable by its owner alone) when it is not there, and starts the threads
 * that deliver what it holds. `options` may be NULL for the defaults. Opening the same database again in one process
 * gives another agent that shares the store and the threads.
 *
 * Ownership: the agent in *out_agent is the caller's, for casehook_agent_free(); path and options are only read.
 * Threads: any. Errors: SCHEMA_TOO_NEW and CORRUPT leave the file as it is; SECOND_COPY when another copy of casehook in
 * this process has it open; FORKED when this process was forked with it open; STORE when the folder cannot be used; BUSY.
 */
casehook_result casehook_open(const char *path,
                              const struct casehook_options *options,
                              struct casehook_agent **out_agent,
                              struct casehook_error **err);

/**
 * Stops: claims nothing more, waits up to `timeout_ms` for requests under way, then shuts their sockets. Every later call
 * fails with CLOSED, and calls that wait in other threads return so. A second close does nothing. What was not delivered
 * stays stored. Other agents of the same database in this process go on.
 *
 * Ownership: the agent stays the caller's; release it with casehook_agent_free(). Threads: any, also while other threads
 * use the agent. Errors: ARGUMENT when `timeout_ms` is below 0, STORE.
 */
casehook_result casehook_close(const struct casehook_agent *agent,
                               int64_t timeout_ms,
                               struct casehook_error **err);

/**
 * Releases an agent; NULL is ignored. One that is not closed is closed first, which takes up to 5 seconds. In a forked
 * child it only forgets the agent, and leaves the parent's files and sockets alone.
 *
 * Ownership: takes the agent. Threads: any, once, when every other call with this agent has returned. Errors: none.
 */
void casehook_agent_free(struct casehook_agent *agent);

/**
 * Stores a connector under `name`, new or in place of the one there, and tries its target at once if it was blocked.
 * `config_json` is a connector document: {"config": {...}, "secrets": {...}}, an exported connector of Kibana, or a config
 * object alone. `secrets_json` is an object with the secrets where the document brings none; NULL keeps the stored ones as
 * long as the connector sends to the same origins. casehook_connector_json() shows the warnings.
 *
 * Ownership: the texts are only read. Threads: any. Errors: CONFIG names the field, says what is wrong and what would be
 * right, and nothing is stored; KEY when there are secrets and the key that encrypts them cannot be had; STORE, BUSY.
 */
casehook_result casehook_configure(const struct casehook_agent *agent,
                                   const char *name,
                                   const char *config_json,
                                   const char *secrets_json,
                                   struct casehook_error **err);

/**
 * One connector as JSON: {"name", "config", "warnings": [{"field", "message"}]}; secrets are left out.
 *
 * Ownership: *out_json is the caller's, for casehook_string_free(). Threads: any. Errors: NOT_FOUND lists the names there
 * are; STORE.
 */
casehook_result casehook_connector_json(const struct casehook_agent *agent,
                                        const char *name,
                                        char **out_json,
                                        struct casehook_error **err);

/**
 * Every connector by name, as a JSON array of what casehook_connector_json() gives.
 *
 * Ownership: *out_json is the caller's, for casehook_string_free(). Threads: any. Errors: STORE.
 */
casehook_result casehook_connectors_json(const struct casehook_agent *agent,
                                         char **out_json,
                                         struct casehook_error **err);

/**
 * Forgets a connector and its secrets. Links between cases and incidents stay, for a connector that is configured under
 * the name later.
 *
 * Ownership: the text is only read. Threads: any. Errors: STATE while it has undelivered pushes, NOT_FOUND, STORE, BUSY.
 */
casehook_result casehook_remove(const struct casehook_agent *agent,
                                const char *name,
                                struct casehook_error **err);

/**
 * Forgets a connector and cancels what it has not delivered.
 *
 * Ownership: the text is only read. Threads: any. Errors: STATE while a request of it is under way, NOT_FOUND, STORE, BUSY.
 */
casehook_result casehook_remove_cancelling(const struct casehook_agent *agent,
                                           const char *name,
                                           struct casehook_error **err);

/**
 * Stops delivering for a connector until casehook_resume(), across restarts. It accepts pushes meanwhile.
 *
 * Ownership: the text is only read. Threads: any. Errors: NOT_FOUND, STORE, BUSY.
 */
casehook_result casehook_pause(const struct casehook_agent *agent,
                               const char *name,
                               struct casehook_error **err);

/**
 * Delivers for a paused connector again.
 *
 * Ownership: the text is only read. Threads: any. Errors: NOT_FOUND, STORE, BUSY.
 */
casehook_result casehook_resume(const struct casehook_agent *agent,
                                const char *name,
                                struct casehook_error **err);

/**
 * The requests that a push of this case would send now, in order, secrets masked, as a JSON array. `params_json` is as
 * for casehook_push_json(). Sends nothing and stores nothing.
 *
 * Ownership: *out_json is the caller's, for casehook_string_free(). Threads: any. Errors: CASE, CONFIG, NOT_FOUND, KEY,
 * STORE.
 */
casehook_result casehook_preview_json(const struct casehook_agent *agent,
                                      const char *connector,
                                      const char *params_json,
                                      char **out_json,
                                      struct casehook_error **err);

/**
 * Runs the steps of this case against the target, for real, outside the outbox: it opens or updates an incident there and
 * leaves nothing here. Where the connector has a look-up and the case an id, an incident that was opened is looked up in the
 * end. Gives a report of what was sent, answered and made of it, as JSON; "ok" tells whether every step succeeded. Blocks
 * for as long as the exchanges take.
 *
 * Ownership: *out_json is the caller's, for casehook_string_free(). Threads: any. Errors: CASE, CONFIG, NOT_FOUND, KEY,
 * STORE; that a step failed is none.
 */
casehook_result casehook_test_json(const struct casehook_agent *agent,
                                   const char *connector,
                                   const char *params_json,
                                   char **out_json,
                                   struct casehook_error **err);

/**
 * Reads one incident back as the connector says and writes nothing, here or there: the harmless half of
 * casehook_test_json(), with the same report. `external_id` is the incident's id in the case system. Blocks for as long as
 * the exchange takes.
 *
 * Ownership: *out_json is the caller's, for casehook_string_free(). Threads: any. Errors: ARGUMENT when the id is empty,
 * CONFIG, NOT_FOUND when there is no such connector, KEY, STORE; that the incident cannot be read is none.
 */
casehook_result casehook_test_get_json(const struct casehook_agent *agent,
                                       const char *connector,
                                       const char *external_id,
                                       char **out_json,
                                       struct casehook_error **err);

/**
 * The presets there are, as a JSON array: {"name", "title", "parameters": [{"name", "meaning", "example", "default",
 * "optional", "secret", "choices", "form"}], "notes", "unconfirmed", "sources": [{"fact", "url"}]}. A parameter without a
 * default that is neither optional nor secret is required.
 *
 * Ownership: *out_json is the caller's, for casehook_string_free(). Threads: any. Errors: ARGUMENT.
 */
casehook_result casehook_presets_json(char **out_json,
                                      struct casehook_error **err);

/**
 * A connector document for one installation of a well-known system, for casehook_configure(). `params_json` is a JSON
 * object of the preset's parameters, each a string or a number; NULL stands for none. Without the credentials the document
 * has no secrets.
 *
 * Ownership: the texts are only read; *out_json is the caller's, for casehook_string_free(). Threads: any. Errors:
 * NOT_FOUND lists the presets; ARGUMENT names a parameter that is missing, not known or cannot be used, and lists those
 * that there are.
 */
casehook_result casehook_preset_json(const char *name,
                                     const char *params_json,
                                     char **out_json,
                                     struct casehook_error **err);

/**
 * Accepts a case for delivery and gives its number: above 0, and below while a spool holds it (see
 * casehook_options_set_spool()); never 0. The push survives power loss once this returns; the network is not touched.
 *
 * Ownership: the case and its texts are only read. Threads: any; pushes of several threads share their commits.
 * Errors: CASE names the field that is over a limit or that the connector cannot render; NOT_FOUND lists the connectors
 * there are; QUEUE_FULL, DISK_FULL and BUSY can be tried again; STORE. Nothing is stored then.
 */
casehook_result casehook_push(const struct casehook_agent *agent,
                              const char *connector,
                              const struct casehook_case *case_,
                              int64_t *out_id,
                              struct casehook_error **err);

/**
 * The same for a case as JSON: {"incident": {"title", "id"?, "description"?, "severity"?, "status"?, "tags"?,
 * "externalId"?, "fields"?}, "comments"?: [{"commentId", "comment"}], "traceparent"?}.
 *
 * Ownership: the texts are only read. Threads: any. Errors: as casehook_push().
 */
casehook_result casehook_push_json(const struct casehook_agent *agent,
                                   const char *connector,
                                   const char *params_json,
                                   int64_t *out_id,
                                   struct casehook_error **err);

/**
 * Accepts many cases in one transaction, all or none: a JSON array of what casehook_push_json() takes. Gives a JSON array
 * of their numbers in the same order.
 *
 * Ownership: *out_json is the caller's, for casehook_string_free(). Threads: any. Errors: as casehook_push(); the field
 * begins with the place of the case, such as "cases[3].incident.title".
 */
casehook_result casehook_push_many_json(const struct casehook_agent *agent,
                                        const char *connector,
                                        const char *cases_json,
                                        char **out_json,
                                        struct casehook_error **err);

/**
 * Waits until a push is delivered, failed, cancelled or held, and gives where it stands then; for a superseded push it
 * follows the one that took its place. `timeout_ms` below 0 waits without limit.
 *
 * Ownership: *out_status is the caller's, for casehook_status_free(). Threads: any; casehook_close() ends the wait.
 * Errors: TIMEOUT when it takes longer, and the push goes on; NOT_FOUND, STORE.
 */
casehook_result casehook_wait(const struct casehook_agent *agent,
                              int64_t id,
                              int64_t timeout_ms,
                              struct casehook_status **out_status,
                              struct casehook_error **err);

/**
 * Waits until nothing is left to deliver, and sets *out_done to true then. False when the time ran out, and at once when
 * only pushes remain that nothing moves by itself: held ones, those behind them, those of paused or blocked connectors.
 * `timeout_ms` below 0 waits without limit.
 *
 * Ownership: takes none. Threads: any; casehook_close() ends the wait. Errors: STORE; that the time ran out is none.
 */
casehook_result casehook_flush(const struct casehook_agent *agent,
                               int64_t timeout_ms,
                               bool *out_done,
                               struct casehook_error **err);

/**
 * Where a push stands now. Reads the store only.
 *
 * Ownership: *out_status is the caller's, for casehook_status_free(). Threads: any. Errors: NOT_FOUND when there is no push
 * of that number (any more: history is pruned), STORE.
 */
casehook_result casehook_get_status(const struct casehook_agent *agent,
                                    int64_t id,
                                    struct casehook_status **out_status,
                                    struct casehook_error **err);

/**
 * Frees a status; NULL is ignored.
 *
 * Ownership: takes the status, and with it every text borrowed from it. Threads: any, once. Errors: none.
 */
void casehook_status_free(struct casehook_status *status);

/**
 * All of it as JSON, the comments with their states included.
 *
 * Ownership: *out_json is the caller's, for casehook_string_free(). Threads: any. Errors: ARGUMENT.
 */
casehook_result casehook_status_json(const struct casehook_status *status,
                                     char **out_json,
                                     struct casehook_error **err);

/**
 * The number of the push.
 *
 * Ownership: takes none. Threads: any. Errors: 0 for NULL.
 */
int64_t casehook_status_id(const struct casehook_status *status);

/**
 * The connector's name.
 *
 * Ownership: borrowed from the status, valid until it is freed. Threads: any. Errors: NULL for NULL.
 */
const char *casehook_status_connector(const struct casehook_status *status);

/**
 * The program's own id of the case; NULL when it gave none.
 *
 * Ownership: borrowed from the status, valid until it is freed. Threads: any. Errors: NULL for NULL.
 */
const char *casehook_status_case_id(const struct casehook_status *status);

/**
 * Where the push stands.
 *
 * Ownership: takes none. Threads: any. Errors: CASEHOOK_STATE_UNKNOWN for NULL.
 */
casehook_state casehook_status_state(const struct casehook_status *status);

/**
 * The name of the state as it stands in JSON, such as "delivered".
 *
 * Ownership: borrowed from the status, valid until it is freed. Threads: any. Errors: NULL for NULL.
 */
const char *casehook_status_state_name(const struct casehook_status *status);

/**
 * Whether nothing more will happen unless somebody asks for it: delivered, failed, superseded, cancelled.
 *
 * Ownership: takes none. Threads: any. Errors: false for NULL.
 */
bool casehook_status_is_final(const struct casehook_status *status);

/**
 * How many exchanges failed so far in a way that counts, of all steps; waiting for a target that is away does not.
 *
 * Ownership: takes none. Threads: any. Errors: 0 for NULL.
 */
uint32_t casehook_status_attempts(const struct casehook_status *status);

/**
 * When the push was accepted, in milliseconds since 1970-01-01T00:00:00Z.
 *
 * Ownership: takes none. Threads: any. Errors: 0 for NULL.
 */
int64_t casehook_status_created_at(const struct casehook_status *status);

/**
 * When the state last changed, in milliseconds since 1970-01-01T00:00:00Z.
 *
 * Ownership: takes none. Threads: any. Errors: 0 for NULL.
 */
int64_t casehook_status_updated_at(const struct casehook_status *status);

/**
 * When the next exchange is due, in milliseconds since 1970-01-01T00:00:00Z; 0 unless queued or waiting.
 *
 * Ownership: takes none. Threads: any. Errors: 0 for NULL.
 */
int64_t casehook_status_next_attempt_at(const struct casehook_status *status);

/**
 * The incident's id at the target; NULL as long as none is known.
 *
 * Ownership: borrowed from the status, valid until it is freed. Threads: any. Errors: NULL for NULL.
 */
const char *casehook_status_external_id(const struct casehook_status *status);

/**
 * The incident's title at the target; NULL as long as none is known.
 *
 * Ownership: borrowed from the status, valid until it is freed. Threads: any. Errors: NULL for NULL.
 */
const char *casehook_status_external_title(const struct casehook_status *status);

/**
 * The link to the incident for people; NULL as long as none is known.
 *
 * Ownership: borrowed from the status, valid until it is freed. Threads: any. Errors: NULL for NULL.
 */
const char *casehook_status_external_url(const struct casehook_status *status);

/**
 * Whether a request was sent again without knowing that the first had no effect.
 *
 * Ownership: takes none. Threads: any. Errors: false for NULL.
 */
bool casehook_status_is_uncertain(const struct casehook_status *status);

/**
 * The push that took the place of this one; 0 when none did.
 *
 * Ownership: takes none. Threads: any. Errors: 0 for NULL.
 */
int64_t casehook_status_superseded_by(const struct casehook_status *status);

/**
 * A stable word for why the last exchange failed, such as "connectionRefused"; NULL once a later one succeeded.
 *
 * Ownership: borrowed from the status, valid until it is freed. Threads: any. Errors: NULL for NULL.
 */
const char *casehook_status_error_code(const struct casehook_status *status);

/**
 * The class of that failure, such as "notSent"; NULL when there is none.
 *
 * Ownership: borrowed from the status, valid until it is freed. Threads: any. Errors: NULL for NULL.
 */
const char *casehook_status_error_kind(const struct casehook_status *status);

/**
 * What happened and what to do, for people; holds no secret; NULL when there is no failure.
 *
 * Ownership: borrowed from the status, valid until it is freed. Threads: any. Errors: NULL for NULL.
 */
const char *casehook_status_error_message(const struct casehook_status *status);

/**
 * The step that failed, such as "create"; NULL when there is no failure.
 *
 * Ownership: borrowed from the status, valid until it is freed. Threads: any. Errors: NULL for NULL.
 */
const char *casehook_status_error_step(const struct casehook_status *status);

/**
 * The status of the answer that was a failure; 0 when there was no answer or no failure.
 *
 * Ownership: takes none. Threads: any. Errors: 0 for NULL.
 */
int32_t casehook_status_error_http_status(const struct casehook_status *status);

/**
 * Whether casehook tries again by itself after that failure.
 *
 * Ownership: takes none. Threads: any. Errors: false for NULL.
 */
bool casehook_status_error_is_retryable(const struct casehook_status *status);

/**
 * Sends a failed or held push again, from the first step that is not done, and a waiting one now.
 *
 * Ownership: takes none. Threads: any. Errors: STATE when it is neither failed nor held nor waiting, NOT_FOUND, STORE, BUSY.
 */
casehook_result casehook_retry(const struct casehook_agent *agent,
                               int64_t id,
                               struct casehook_error **err);

/**
 * Gives up a push that is queued, waiting or held.
 *
 * Ownership: takes none. Threads: any. Errors: STATE when a request of it is under way or it is done, NOT_FOUND, STORE,
 * BUSY.
 */
casehook_result casehook_cancel(const struct casehook_agent *agent,
                                int64_t id,
                                struct casehook_error **err);

/**
 * Names the incident of a held push, or of one that failed without an incident; it goes on from there.
 *
 * Ownership: the text is only read. Threads: any. Errors: STATE when the push is in no such state, ARGUMENT when the id
 * cannot be one, NOT_FOUND, STORE, BUSY.
 */
casehook_result casehook_adopt(const struct casehook_agent *agent,
                               int64_t id,
                               const char *external_id,
                               struct casehook_error **err);

/**
 * Removes a failed push for good.
 *
 * Ownership: takes none. Threads: any. Errors: STATE when it has not failed, NOT_FOUND, STORE, BUSY.
 */
casehook_result casehook_discard(const struct casehook_agent *agent, int64_t id, struct casehook_error **err);

/**
 * Pushes, newest first, as a JSON array of what casehook_status_json() gives. `filter_json` is NULL for all, or an object
 * whose parts must all hold: {"state"?, "connector"?, "caseId"?, "before"?: only those of a lower number, the last one of
 * the page before; "limit"?: 100 when not given}.
 *
 * Ownership: *out_json is the caller's, for casehook_string_free(). Threads: any. Errors: ARGUMENT when the filter is not
 * one, STORE.
 */
casehook_result casehook_list_json(const struct casehook_agent *agent,
                                   const char *filter_json,
                                   char **out_json,
                                   struct casehook_error **err);

/**
 * What happened to a push so far, oldest first, as a JSON array: one entry for each exchange, secrets masked.
 *
 * Ownership: *out_json is the caller's, for casehook_string_free(). Threads: any. Errors: STORE; a push that is not there
 * has had no exchange.
 */
casehook_result casehook_attempts_json(const struct casehook_agent *agent,
                                       int64_t id,
                                       char **out_json,
                                       struct casehook_error **err);

/**
 * Counts and health by connector in the text format of Prometheus (0.0.4), for a program's own /metrics. The counters are
 * kept in the database, and so say the same in every process and after a restart.
 *
 * Ownership: *out_text is the caller's, for casehook_string_free(). Threads: any. Errors: STORE.
 */
casehook_result casehook_metrics_text(const struct casehook_agent *agent,
                                      char **out_text,
                                      struct casehook_error **err);

/**
 * Counts and health by connector, and who delivers, as JSON.
 *
 * Ownership: *out_json is the caller's, for casehook_string_free(). Threads: any. Errors: STORE.
 */
casehook_result casehook_stats_json(const struct casehook_agent *agent,
                                    char **out_json,
                                    struct casehook_error **err);

/**
 * The incident that a case is linked to at the connector's present target, as JSON; "null" when there is none.
 *
 * Ownership: *out_json is the caller's, for casehook_string_free(). Threads: any. Errors: NOT_FOUND when there is no such
 * connector, STORE.
 */
casehook_result casehook_link_json(const struct casehook_agent *agent,
                                   const char *connector,
                                   const char *case_id,
                                   char **out_json,
                                   struct casehook_error **err);

/**
 * Writes a consistent copy of the database to a new file, while everything goes on. The key file is no part of it.
 *
 * Ownership: the text is only read. Threads: any. Errors: ARGUMENT when the file is there already, STORE when
 * it cannot be written.
 */
casehook_result casehook_backup(const struct casehook_agent *agent,
                                const char *path,
                                struct casehook_error **err);

/**
 * Seals every stored secret with another key, all of them or none: with this one (`length` 32), or with a new random one
 * in the key file when `key` is NULL and `length` 0. Store a key of your own safely before: it alone opens the secrets
 * afterwards, and casehook_options_set_key() needs it from then on. Deliveries go on meanwhile. Backups made before need
 * the key of their time. Other processes with the key file follow; those that were given the old key get KEY errors where
 * they read secrets anew.
 *
 * Ownership: the key is copied, and the copy wiped when no longer needed. Threads: any. Errors: KEY when the present key is
 * missing or wrong or a stored secret is damaged, ARGUMENT for a wrong length, and for NULL when the present key is not
 * from the key file; nothing is changed then.
 */
casehook_result casehook_rekey(const struct casehook_agent *agent,
                               const uint8_t *key,
                               size_t length,
                               struct casehook_error **err);

/**
 * Has `callback` called with every message up to `max_level` (CASEHOOK_LOG_ERROR to CASEHOOK_LOG_TRACE) of every agent in
 * this process, in place of the callback before; NULL for none. Messages hold no secrets.
 *
 * The callback runs on a thread of casehook's, one call at a time, without any lock of casehook's: it may take its time and
 * may call casehook, this function included. It must not throw, and must not end its thread. Messages that come faster
 * than it takes them are dropped, and a message says how many. When this function returns, what was logged before has been
 * handed to the callback before, which is not running and will not be called again, so that its `user_data` may go; for
 * that it waits for the callback, so do not call it while holding a lock that the callback takes. Called from the callback
 * itself it cannot wait: the callback ends after that call, and the next one goes on with what was not handed out yet. If
 * another thread is waiting in this function then, its callback is the one that stays. In a forked child there is no
 * callback until the child sets one.
 *
 * Ownership: `user_data` is handed through and never touched. Threads: any; the callback belongs to the process.
 * Errors: ARGUMENT when `max_level` is not a level, INTERNAL when no thread can be started.
 */
casehook_result casehook_set_log_callback(casehook_log_callback callback,
                                          void *user_data,
                                          int32_t max_level,
                                          struct casehook_error **err);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* CASEHOOK_H */

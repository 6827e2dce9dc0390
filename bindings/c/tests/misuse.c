/* misuse DIRECTORY CONNECTOR.json: NULL for each pointer, bytes that are no UTF-8, closed and forked agents. */
#define _POSIX_C_SOURCE 200809L
#include "check.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#define BAD "caf\xe9 au lait"
#define CASE "{\"incident\": {\"title\": \"t\"}}"

enum { LONG = 5 * 1024 * 1024 };

/* The case is refused for its content, and the error names the member, or begins with it. */
#define LIMITED(c, member)                                                                       \
    do {                                                                                         \
        CHECK(casehook_push(agent, "tracker", c, &id, &err) == CASEHOOK_ERROR_CASE);             \
        CHECK(strncmp(casehook_error_field(err), member, strlen(member)) == 0);                  \
        CHECK(strncmp(casehook_error_message(err), member, strlen(member)) == 0);                \
        CHECK(member[sizeof member - 2] == '[' || strcmp(casehook_error_field(err), member) == 0); \
        casehook_error_free(err);                                                                \
        err = NULL;                                                                              \
    } while (0)

static casehook_error *err;
static char *json;
static casehook_status *status;
static int64_t id;
static bool done;
static const char *config;

static void null_everywhere(const casehook_agent *agent)
{
    casehook_case c = CASEHOOK_CASE_INIT;
    casehook_options *options = casehook_options_new();
    const unsigned char key[32] = {0};
    const char *text = "text";
    char *none = NULL;

    c.title = "t";
    REFUSES(casehook_open(NULL, NULL, &(casehook_agent *){NULL}, &err), "path");
    REFUSES(casehook_open("x.db", NULL, NULL, &err), "out_agent");
    CHECK(casehook_open(NULL, NULL, NULL, NULL) == CASEHOOK_ERROR_ARGUMENT);

    REFUSES(casehook_close(NULL, 0, &err), "agent");
    REFUSES(casehook_close(agent, -1, &err), "timeout_ms");
    REFUSES(casehook_configure(NULL, "n", "{}", NULL, &err), "agent");
    REFUSES(casehook_configure(agent, NULL, "{}", NULL, &err), "name");
    REFUSES(casehook_configure(agent, "n", NULL, NULL, &err), "config_json");
    REFUSES(casehook_connector_json(NULL, "n", &json, &err), "agent");
    REFUSES(casehook_connector_json(agent, NULL, &json, &err), "name");
    REFUSES(casehook_connector_json(agent, "n", NULL, &err), "out_json");
    REFUSES(casehook_connectors_json(NULL, &json, &err), "agent");
    REFUSES(casehook_connectors_json(agent, NULL, &err), "out_json");
    REFUSES(casehook_remove(NULL, "n", &err), "agent");
    REFUSES(casehook_remove(agent, NULL, &err), "name");
    REFUSES(casehook_remove_cancelling(NULL, "n", &err), "agent");
    REFUSES(casehook_remove_cancelling(agent, NULL, &err), "name");
    REFUSES(casehook_pause(NULL, "n", &err), "agent");
    REFUSES(casehook_pause(agent, NULL, &err), "name");
    REFUSES(casehook_resume(NULL, "n", &err), "agent");
    REFUSES(casehook_resume(agent, NULL, &err), "name");
    REFUSES(casehook_preview_json(NULL, "n", CASE, &json, &err), "agent");
    REFUSES(casehook_preview_json(agent, NULL, CASE, &json, &err), "connector");
    REFUSES(casehook_preview_json(agent, "n", NULL, &json, &err), "params_json");
    REFUSES(casehook_preview_json(agent, "n", CASE, NULL, &err), "out_json");
    REFUSES(casehook_test_json(NULL, "n", CASE, &json, &err), "agent");
    REFUSES(casehook_test_json(agent, NULL, CASE, &json, &err), "connector");
    REFUSES(casehook_test_json(agent, "n", NULL, &json, &err), "params_json");
    REFUSES(casehook_test_json(agent, "n", CASE, NULL, &err), "out_json");
    REFUSES(casehook_test_get_json(NULL, "n", "1", &json, &err), "agent");
    REFUSES(casehook_test_get_json(agent, NULL, "1", &json, &err), "connector");
    REFUSES(casehook_test_get_json(agent, "n", NULL, &json, &err), "external_id");
    REFUSES(casehook_test_get_json(agent, "n", "1", NULL, &err), "out_json");
    REFUSES(casehook_presets_json(NULL, &err), "out_json");
    REFUSES(casehook_preset_json(NULL, "{}", &json, &err), "name");
    REFUSES(casehook_preset_json("github", "{}", NULL, &err), "out_json");

    REFUSES(casehook_push(NULL, "n", &c, &id, &err), "agent");
    REFUSES(casehook_push(agent, NULL, &c, &id, &err), "connector");
    REFUSES(casehook_push(agent, "n", NULL, &id, &err), "case");
    REFUSES(casehook_push(agent, "n", &c, NULL, &err), "out_id");
    REFUSES(casehook_push_json(NULL, "n", CASE, &id, &err), "agent");
    REFUSES(casehook_push_json(agent, NULL, CASE, &id, &err), "connector");
    REFUSES(casehook_push_json(agent, "n", NULL, &id, &err), "params_json");
    REFUSES(casehook_push_json(agent, "n", CASE, NULL, &err), "out_id");
    REFUSES(casehook_push_many_json(NULL, "n", "[]", &json, &err), "agent");
    REFUSES(casehook_push_many_json(agent, NULL, "[]", &json, &err), "connector");
    REFUSES(casehook_push_many_json(agent, "n", NULL, &json, &err), "cases_json");
    REFUSES(casehook_push_many_json(agent, "n", "[]", NULL, &err), "out_json");
    REFUSES(casehook_wait(NULL, 1, 0, &status, &err), "agent");
    REFUSES(casehook_wait(agent, 1, 0, NULL, &err), "out_status");
    REFUSES(casehook_flush(NULL, 0, &done, &err), "agent");
    REFUSES(casehook_flush(agent, 0, NULL, &err), "out_done");
    REFUSES(casehook_get_status(NULL, 1, &status, &err), "agent");
    REFUSES(casehook_get_status(agent, 1, NULL, &err), "out_status");
    REFUSES(casehook_status_json(NULL, &json, &err), "status");
    REFUSES(casehook_status_json(NULL, NULL, &err), "out_json");
    REFUSES(casehook_retry(NULL, 1, &err), "agent");
    REFUSES(casehook_cancel(NULL, 1, &err), "agent");
    REFUSES(casehook_discard(NULL, 1, &err), "agent");
    REFUSES(casehook_adopt(NULL, 1, "x", &err), "agent");
    REFUSES(casehook_adopt(agent, 1, NULL, &err), "external_id");
    REFUSES(casehook_list_json(NULL, NULL, &json, &err), "agent");
    REFUSES(casehook_list_json(agent, NULL, NULL, &err), "out_json");
    REFUSES(casehook_attempts_json(NULL, 1, &json, &err), "agent");
    REFUSES(casehook_attempts_json(agent, 1, NULL, &err), "out_json");
    REFUSES(casehook_stats_json(NULL, &json, &err), "agent");
    REFUSES(casehook_metrics_text(NULL, &json, &err), "agent");
    REFUSES(casehook_metrics_text(agent, NULL, &err), "out_text");
    REFUSES(casehook_stats_json(agent, NULL, &err), "out_json");
    REFUSES(casehook_link_json(NULL, "n", "c", &json, &err), "agent");
    REFUSES(casehook_link_json(agent, NULL, "c", &json, &err), "connector");
    REFUSES(casehook_link_json(agent, "n", NULL, &json, &err), "case_id");
    REFUSES(casehook_link_json(agent, "n", "c", NULL, &err), "out_json");
    REFUSES(casehook_backup(NULL, "p", &err), "agent");
    REFUSES(casehook_backup(agent, NULL, &err), "path");
    REFUSES(casehook_rekey(NULL, key, 32, &err), "agent");
    REFUSES(casehook_rekey(agent, NULL, 32, &err), "key");
    REFUSES(casehook_rekey(agent, key, 31, &err), "length");
    REFUSES(casehook_set_log_callback((casehook_log_callback)(void (*)(void))null_everywhere, NULL, 9, &err), "max_level");

    REFUSES(casehook_options_set_key(NULL, key, 32, &err), "options");
    REFUSES(casehook_options_set_key(options, NULL, 32, &err), "key");
    REFUSES(casehook_options_set_key(options, key, 31, &err), "length");
    REFUSES(casehook_options_set_settings_json(NULL, "{}", &err), "options");
    REFUSES(casehook_options_set_settings_json(options, NULL, &err), "json");
    REFUSES(casehook_options_set_workers(NULL, 1, &err), "options");
    REFUSES(casehook_options_set_drain(NULL, true, &err), "options");
    REFUSES(casehook_options_set_max_queued(NULL, 1, &err), "options");
    REFUSES(casehook_options_set_history(NULL, 1, 1, &err), "options");
    REFUSES(casehook_options_set_secret_env(NULL, &text, 1, &err), "options");
    REFUSES(casehook_options_set_secret_env(options, NULL, 1, &err), "names");
    REFUSES(casehook_options_set_secret_env(options, (const char *const *)&none, 1, &err), "names[0]");
    REFUSES(casehook_options_set_secret_dir(NULL, "d", &err), "options");
    REFUSES(casehook_options_set_trust_location(NULL, true, &err), "options");
    REFUSES(casehook_options_set_secret_dir(options, NULL, &err), "path");
    REFUSES(casehook_options_set_spool(NULL, "s", &err), "options");
    REFUSES(casehook_options_set_spool(options, NULL, &err), "path");
    OK(casehook_options_set_spool(options, "never.spool", &err));
    REFUSES(casehook_open("never.db", options, &(casehook_agent *){NULL}, &err), "spool");
    OK(casehook_options_set_workers(options, 65, &err));
    REFUSES(casehook_open("never.db", options, &(casehook_agent *){NULL}, &err), "workers");
    casehook_options_free(options);

    casehook_options_free(NULL);
    casehook_agent_free(NULL);
    casehook_status_free(NULL);
    casehook_string_free(NULL);
    casehook_error_free(NULL);
    CHECK(casehook_error_code(NULL) == CASEHOOK_OK && !casehook_error_is_retryable(NULL));
    CHECK(casehook_error_name(NULL) == NULL && casehook_error_message(NULL) == NULL);
    CHECK(casehook_error_field(NULL) == NULL);
    CHECK(casehook_status_id(NULL) == 0 && casehook_status_connector(NULL) == NULL);
    CHECK(casehook_status_case_id(NULL) == NULL && casehook_status_state(NULL) == CASEHOOK_STATE_UNKNOWN);
    CHECK(casehook_status_state_name(NULL) == NULL && !casehook_status_is_final(NULL));
    CHECK(casehook_status_attempts(NULL) == 0 && casehook_status_created_at(NULL) == 0);
    CHECK(casehook_status_updated_at(NULL) == 0 && casehook_status_next_attempt_at(NULL) == 0);
    CHECK(casehook_status_external_id(NULL) == NULL && casehook_status_external_title(NULL) == NULL);
    CHECK(casehook_status_external_url(NULL) == NULL && !casehook_status_is_uncertain(NULL));
    CHECK(casehook_status_superseded_by(NULL) == 0 && casehook_status_error_code(NULL) == NULL);
    CHECK(casehook_status_error_kind(NULL) == NULL && casehook_status_error_message(NULL) == NULL);
    CHECK(casehook_status_error_step(NULL) == NULL && casehook_status_error_http_status(NULL) == 0);
    CHECK(!casehook_status_error_is_retryable(NULL));
    CHECK(casehook_version() != NULL);
}

static void no_utf8(const casehook_agent *agent)
{
    casehook_options *options = casehook_options_new();
    casehook_case c = CASEHOOK_CASE_INIT;
    const char *bad = BAD;

    c.title = "t";
    REFUSES(casehook_open(BAD, NULL, &(casehook_agent *){NULL}, &err), "path");
    REFUSES(casehook_configure(agent, BAD, "{}", NULL, &err), "name");
    REFUSES(casehook_configure(agent, "n", BAD, NULL, &err), "config_json");
    REFUSES(casehook_configure(agent, "n", "{}", BAD, &err), "secrets_json");
    REFUSES(casehook_connector_json(agent, BAD, &json, &err), "name");
    REFUSES(casehook_remove(agent, BAD, &err), "name");
    REFUSES(casehook_remove_cancelling(agent, BAD, &err), "name");
    REFUSES(casehook_pause(agent, BAD, &err), "name");
    REFUSES(casehook_resume(agent, BAD, &err), "name");
    REFUSES(casehook_preview_json(agent, BAD, CASE, &json, &err), "connector");
    REFUSES(casehook_preview_json(agent, "n", BAD, &json, &err), "params_json");
    REFUSES(casehook_test_json(agent, BAD, CASE, &json, &err), "connector");
    REFUSES(casehook_test_json(agent, "n", BAD, &json, &err), "params_json");
    REFUSES(casehook_test_get_json(agent, BAD, "1", &json, &err), "connector");
    REFUSES(casehook_test_get_json(agent, "n", BAD, &json, &err), "external_id");
    REFUSES(casehook_preset_json(BAD, "{}", &json, &err), "name");
    REFUSES(casehook_preset_json("github", BAD, &json, &err), "params_json");
    REFUSES(casehook_push(agent, BAD, &c, &id, &err), "connector");
    REFUSES(casehook_push_json(agent, BAD, CASE, &id, &err), "connector");
    REFUSES(casehook_push_json(agent, "n", BAD, &id, &err), "params_json");
    REFUSES(casehook_push_many_json(agent, BAD, "[]", &json, &err), "connector");
    REFUSES(casehook_push_many_json(agent, "n", BAD, &json, &err), "cases_json");
    REFUSES(casehook_adopt(agent, 1, BAD, &err), "external_id");
    REFUSES(casehook_list_json(agent, BAD, &json, &err), "filter_json");
    REFUSES(casehook_link_json(agent, BAD, "c", &json, &err), "connector");
    REFUSES(casehook_link_json(agent, "n", BAD, &json, &err), "case_id");
    REFUSES(casehook_backup(agent, BAD, &err), "path");
    REFUSES(casehook_options_set_settings_json(options, BAD, &err), "json");
    REFUSES(casehook_options_set_secret_env(options, &bad, 1, &err), "names[0]");
    REFUSES(casehook_options_set_secret_dir(options, BAD, &err), "path");
    REFUSES(casehook_options_set_spool(options, BAD, &err), "path");
    casehook_options_free(options);

    CHECK(casehook_pause(agent, BAD, &err) == CASEHOOK_ERROR_ARGUMENT);
    CHECK(strstr(casehook_error_message(err), "not UTF-8 from byte 3") != NULL);
    casehook_error_free(err);
}

static void bad_cases(const casehook_agent *agent)
{
    /* As a later version of the header would have it. */
    struct {
        casehook_case known;
        const char *later;
    } grown = {CASEHOOK_CASE_INIT, NULL};
    /* As the first one had it, on the heap, where reading on would be seen. */
    casehook_case *first = malloc(offsetof(casehook_case, traceparent));
    char *long_text = malloc(LONG + 1);
    const char *tags[] = {"fine", NULL};
    casehook_comment comments[] = {{"c", "fine"}, {"d", NULL}};
    casehook_case c = CASEHOOK_CASE_INIT;

    REFUSES(casehook_push(agent, "tracker", &c, &id, &err), "case.title");
    c.title = BAD;
    REFUSES(casehook_push(agent, "tracker", &c, &id, &err), "case.title");
    c.title = "t";
    c.id = BAD;
    REFUSES(casehook_push(agent, "tracker", &c, &id, &err), "case.id");
    c.id = NULL, c.description = BAD;
    REFUSES(casehook_push(agent, "tracker", &c, &id, &err), "case.description");
    c.description = NULL, c.severity = BAD;
    REFUSES(casehook_push(agent, "tracker", &c, &id, &err), "case.severity");
    c.severity = NULL, c.status = BAD;
    REFUSES(casehook_push(agent, "tracker", &c, &id, &err), "case.status");
    c.status = NULL, c.external_id = BAD;
    REFUSES(casehook_push(agent, "tracker", &c, &id, &err), "case.external_id");
    c.external_id = NULL, c.fields_json = BAD;
    REFUSES(casehook_push(agent, "tracker", &c, &id, &err), "case.fields_json");
    c.fields_json = "[1]";
    FAILS(casehook_push(agent, "tracker", &c, &id, &err), CASEHOOK_ERROR_CASE);
    c.fields_json = NULL, c.tag_count = 2;
    REFUSES(casehook_push(agent, "tracker", &c, &id, &err), "case.tags");
    c.tags = tags;
    REFUSES(casehook_push(agent, "tracker", &c, &id, &err), "case.tags[1]");
    tags[1] = BAD;
    REFUSES(casehook_push(agent, "tracker", &c, &id, &err), "case.tags[1]");
    c.tag_count = (size_t)-1;
    FAILS(casehook_push(agent, "tracker", &c, &id, &err), CASEHOOK_ERROR_CASE);
    c.tags = NULL, c.tag_count = 0, c.comment_count = 2;
    REFUSES(casehook_push(agent, "tracker", &c, &id, &err), "case.comments");
    c.comments = comments;
    REFUSES(casehook_push(agent, "tracker", &c, &id, &err), "case.comments[1].text");
    comments[1].text = "fine", comments[1].id = BAD;
    REFUSES(casehook_push(agent, "tracker", &c, &id, &err), "case.comments[1].id");
    c.comment_count = (size_t)-1;
    FAILS(casehook_push(agent, "tracker", &c, &id, &err), CASEHOOK_ERROR_CASE);
    c.comments = NULL, c.comment_count = 0, c.traceparent = BAD;
    REFUSES(casehook_push(agent, "tracker", &c, &id, &err), "case.traceparent");

    /* Limits name the same places. */
    CHECK(long_text != NULL && first != NULL);
    memset(long_text, 'x', LONG);
    long_text[LONG] = '\0';
    c.traceparent = "00-4bf92f3577b34da6";
    LIMITED(&c, "case.traceparent");
    c.traceparent = NULL, c.title = long_text;
    LIMITED(&c, "case.title");
    c.title = "t", c.description = long_text;
    LIMITED(&c, "case");
    c.description = NULL;
    snprintf(long_text, LONG, "{\"%0300d\": 1}", 0);
    c.fields_json = long_text;
    LIMITED(&c, "case.fields_json[");
    c.fields_json = NULL;

    c.size = 0;
    REFUSES(casehook_push(agent, "tracker", &c, &id, &err), "case.size");
    c.size = sizeof c - 1;
    REFUSES(casehook_push(agent, "tracker", &c, &id, &err), "case.size");
    c.size = (size_t)-1;
    REFUSES(casehook_push(agent, "tracker", &c, &id, &err), "case.size");

    grown.known.size = sizeof grown;
    grown.known.title = "from a later program";
    OK(casehook_push(agent, "tracker", &grown.known, &id, &err));
    grown.later = "something";
    REFUSES(casehook_push(agent, "tracker", &grown.known, &id, &err), "case.size");
    grown.later = NULL, grown.known.traceparent = "none";
    LIMITED(&grown.known, "case.traceparent");

    memset(first, 0, offsetof(casehook_case, traceparent));
    first->size = offsetof(casehook_case, traceparent);
    first->title = "from an earlier program";
    OK(casehook_push(agent, "tracker", first, &id, &err));
    first->size -= sizeof(size_t);
    REFUSES(casehook_push(agent, "tracker", first, &id, &err), "case.size");
    free(first);
    free(long_text);
}

/* Every call with an agent, each in order but for the agent. */
static void every_call(const casehook_agent *agent, casehook_result expected)
{
    casehook_case c = CASEHOOK_CASE_INIT;

    c.title = "t";
    FAILS(casehook_configure(agent, "n", config, NULL, &err), expected);
    FAILS(casehook_connector_json(agent, "n", &json, &err), expected);
    FAILS(casehook_connectors_json(agent, &json, &err), expected);
    FAILS(casehook_remove(agent, "n", &err), expected);
    FAILS(casehook_remove_cancelling(agent, "n", &err), expected);
    FAILS(casehook_pause(agent, "n", &err), expected);
    FAILS(casehook_resume(agent, "n", &err), expected);
    FAILS(casehook_preview_json(agent, "n", CASE, &json, &err), expected);
    FAILS(casehook_test_json(agent, "n", CASE, &json, &err), expected);
    FAILS(casehook_test_get_json(agent, "n", "1", &json, &err), expected);
    FAILS(casehook_push(agent, "n", &c, &id, &err), expected);
    FAILS(casehook_push_json(agent, "n", CASE, &id, &err), expected);
    FAILS(casehook_push_many_json(agent, "n", "[]", &json, &err), expected);
    FAILS(casehook_wait(agent, 1, 0, &status, &err), expected);
    FAILS(casehook_flush(agent, 0, &done, &err), expected);
    FAILS(casehook_get_status(agent, 1, &status, &err), expected);
    FAILS(casehook_retry(agent, 1, &err), expected);
    FAILS(casehook_cancel(agent, 1, &err), expected);
    FAILS(casehook_adopt(agent, 1, "x", &err), expected);
    FAILS(casehook_discard(agent, 1, &err), expected);
    FAILS(casehook_list_json(agent, NULL, &json, &err), expected);
    FAILS(casehook_attempts_json(agent, 1, &json, &err), expected);
    FAILS(casehook_stats_json(agent, &json, &err), expected);
    FAILS(casehook_metrics_text(agent, &json, &err), expected);
    FAILS(casehook_link_json(agent, "n", "c", &json, &err), expected);
    FAILS(casehook_backup(agent, "never.db", &err), expected);
    FAILS(casehook_rekey(agent, (const uint8_t *)"0123456789abcdef0123456789abcdef", 32, &err), expected);
    CHECK(json == NULL && status == NULL && id == 0 && !done);
}

/* The child of a fork: the parent's agent and its database are out of reach, others work. */
static void forked(casehook_agent *agent, const char *db, const char *directory)
{
    casehook_agent *own = NULL;
    char *other = in(directory, "child.db");

    every_call(agent, CASEHOOK_ERROR_FORKED);
    FAILS(casehook_close(agent, 0, &err), CASEHOOK_ERROR_FORKED);
    casehook_agent_free(agent);
    FAILS(casehook_open(db, NULL, &own, &err), CASEHOOK_ERROR_FORKED);
    CHECK(own == NULL);
    OK(casehook_open(other, NULL, &own, &err));
    OK(casehook_connectors_json(own, &json, &err));
    OK(casehook_close(own, 1000, &err));
    casehook_agent_free(own);
    casehook_string_free(json);
    free(other);
}

enum { FILES = 256 };

/* Every file that casehook opened is closed by exec. */
static void closed_by_exec(const bool *before)
{
    int file, own = 0;

    for (file = 0; file < FILES; file++) {
        int flags = fcntl(file, F_GETFD);
        if (flags < 0 || before[file])
            continue;
        CHECK((flags & FD_CLOEXEC) != 0);
        own++;
    }
    CHECK(own >= 3);
}

int main(int argc, char **argv)
{
    casehook_agent *agent = NULL;
    bool before[FILES];
    char *db;
    int ended = 0;
    pid_t child;

    CHECK(argc == 3);
    db = in(argv[1], "misuse.db");
    for (ended = 0; ended < FILES; ended++)
        before[ended] = fcntl(ended, F_GETFD) >= 0;
    OK(casehook_open(db, NULL, &agent, &err));
    config = slurp(argv[2]);
    OK(casehook_configure(agent, "tracker", config, NULL, &err));
    closed_by_exec(before);
    null_everywhere(agent);
    no_utf8(agent);
    bad_cases(agent);

    child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        forked(agent, db, argv[1]);
        /* Another program, since a child leaves what it forgot of its parent's agent to the end of the process. */
        execlp("true", "true", (char *)NULL);
        _exit(1);
    }
    CHECK(waitpid(child, &ended, 0) == child);
    CHECK(WIFEXITED(ended) && WEXITSTATUS(ended) == 0);

    OK(casehook_stats_json(agent, &json, &err));
    casehook_string_free(json);
    json = NULL;
    id = 0;
    OK(casehook_close(agent, 1000, &err));
    every_call(agent, CASEHOOK_ERROR_CLOSED);
    OK(casehook_close(agent, 1000, &err));
    casehook_agent_free(agent);
    free(db);
    return 0;
}

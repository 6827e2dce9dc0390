/* logging DIRECTORY CONNECTOR.json: the log callback is set, cleared and used while cases are delivered. */
#define _POSIX_C_SOURCE 200809L
#include "check.h"

#include <pthread.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

static casehook_agent *agent;
static int stop;

struct seen {
    int count;
    int entered;
};

static void count(void *user_data, casehook_log_level level, const char *message)
{
    struct seen *seen = user_data;
    char *json = NULL;

    CHECK(level >= CASEHOOK_LOG_ERROR && level <= CASEHOOK_LOG_DEBUG);
    CHECK(message[0] != '\0');
    seen->entered++;
    CHECK(seen->entered == 1);
    /* It may use casehook. */
    if (casehook_stats_json(agent, &json, NULL) == CASEHOOK_OK)
        casehook_string_free(json);
    __atomic_add_fetch(&seen->count, 1, __ATOMIC_SEQ_CST);
    seen->entered--;
}

/* Takes one message and hands over to `count`; then itself away. */
static void once(void *user_data, casehook_log_level level, const char *message)
{
    (void)level, (void)message;
    CHECK(casehook_set_log_callback(count, user_data, CASEHOOK_LOG_DEBUG, NULL) == CASEHOOK_OK);
}

static void never_again(void *user_data, casehook_log_level level, const char *message)
{
    (void)level, (void)message;
    CHECK(casehook_set_log_callback(NULL, NULL, 0, NULL) == CASEHOOK_OK);
    __atomic_add_fetch((int *)user_data, 1, __ATOMIC_SEQ_CST);
}

static void *push(void *argument)
{
    casehook_case c = CASEHOOK_CASE_INIT;
    int64_t id;

    (void)argument;
    c.title = "t";
    while (!__atomic_load_n(&stop, __ATOMIC_SEQ_CST)) {
        CHECK(casehook_push(agent, "tracker", &c, &id, NULL) == CASEHOOK_OK);
        poll(NULL, 0, 1);
    }
    return NULL;
}

static void note(void *user_data, casehook_log_level level, const char *message)
{
    (void)level, (void)message;
    __atomic_add_fetch((int *)user_data, 1, __ATOMIC_SEQ_CST);
}

/* Exchanges are logged in the child of a fork: to nobody at first, though its parent has a callback. */
static void forked(const char *db, const char *config, int *of_the_parent)
{
    const char *params = "{\"incident\": {\"title\": \"t\"}}";
    casehook_agent *own = NULL;
    casehook_error *err = NULL;
    int before = __atomic_load_n(of_the_parent, __ATOMIC_SEQ_CST), seen = 0;
    char *json = NULL;

    OK(casehook_open(db, NULL, &own, &err));
    OK(casehook_configure(own, "tracker", config, NULL, &err));
    OK(casehook_test_json(own, "tracker", params, &json, &err));
    casehook_string_free(json);
    OK(casehook_set_log_callback(note, &seen, CASEHOOK_LOG_DEBUG, &err));
    CHECK(__atomic_load_n(of_the_parent, __ATOMIC_SEQ_CST) == before);
    OK(casehook_test_json(own, "tracker", params, &json, &err));
    casehook_string_free(json);
    OK(casehook_set_log_callback(NULL, NULL, 0, &err));
    CHECK(seen >= 1);
    CHECK(__atomic_load_n(of_the_parent, __ATOMIC_SEQ_CST) == before);
    OK(casehook_close(own, 1000, &err));
    casehook_agent_free(own);
}

static void await(int *counter, int least)
{
    int i;
    for (i = 0; i < 20000 && __atomic_load_n(counter, __ATOMIC_SEQ_CST) < least; i++)
        poll(NULL, 0, 1);
    CHECK(__atomic_load_n(counter, __ATOMIC_SEQ_CST) >= least);
}

int main(int argc, char **argv)
{
    casehook_error *err = NULL;
    pthread_t thread;
    struct seen kept = {0, 0};
    int last = 0, ended = 0, i;
    char *db, *child_db;
    pid_t child;

    CHECK(argc == 3);
    db = in(argv[1], "logging.db");
    OK(casehook_set_log_callback(NULL, NULL, 0, &err));
    OK(casehook_open(db, NULL, &agent, &err));
    OK(casehook_configure(agent, "tracker", slurp(argv[2]), NULL, &err));
    CHECK(pthread_create(&thread, NULL, push, NULL) == 0);

    /* What is freed after clearing is not touched any more. */
    for (i = 0; i < 50; i++) {
        struct seen *seen = calloc(1, sizeof *seen);
        CHECK(seen != NULL);
        OK(casehook_set_log_callback(count, seen, CASEHOOK_LOG_DEBUG, &err));
        if (i % 5 == 0)
            await(&seen->count, 2);
        OK(casehook_set_log_callback(NULL, NULL, 0, &err));
        CHECK(seen->entered == 0);
        memset(seen, 0xff, sizeof *seen);
        free(seen);
    }

    OK(casehook_set_log_callback(once, &kept, CASEHOOK_LOG_DEBUG, &err));
    await(&kept.count, 3);
    OK(casehook_set_log_callback(never_again, &last, CASEHOOK_LOG_DEBUG, &err));
    await(&last, 1);
    __atomic_store_n(&stop, 1, __ATOMIC_SEQ_CST);
    CHECK(pthread_join(thread, NULL) == 0);
    OK(casehook_set_log_callback(count, &kept, CASEHOOK_LOG_TRACE, &err));
    OK(casehook_close(agent, 5000, &err));
    OK(casehook_set_log_callback(NULL, NULL, 0, &err));
    CHECK(last == 1);
    casehook_agent_free(agent);

    OK(casehook_set_log_callback(note, &last, CASEHOOK_LOG_DEBUG, &err));
    child_db = in(argv[1], "child.db");
    child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        forked(child_db, slurp(argv[2]), &last);
        execlp("true", "true", (char *)NULL);
        _exit(1);
    }
    CHECK(waitpid(child, &ended, 0) == child && WIFEXITED(ended) && WEXITSTATUS(ended) == 0);
    OK(casehook_set_log_callback(NULL, NULL, 0, &err));
    free(child_db);
    free(db);
    return 0;
}

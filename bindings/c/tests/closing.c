/* closing DIRECTORY CONNECTOR.json: an agent is closed while eight threads push and one waits. */
#define _POSIX_C_SOURCE 200809L
#include "check.h"

#include <pthread.h>

enum { THREADS = 8 };

static casehook_agent *agent;
static int64_t accepted[THREADS];

static void *push(void *argument)
{
    int64_t *count = argument;
    casehook_case c = CASEHOOK_CASE_INIT;
    casehook_error *err = NULL;
    casehook_result result;
    int64_t id;

    c.title = "t";
    while ((result = casehook_push(agent, "tracker", &c, &id, &err)) == CASEHOOK_OK) {
        CHECK(err == NULL && id > 0);
        __atomic_add_fetch(count, 1, __ATOMIC_RELAXED);
    }
    CHECK(result == CASEHOOK_ERROR_CLOSED && casehook_error_code(err) == CASEHOOK_ERROR_CLOSED && id == 0);
    casehook_error_free(err);
    return NULL;
}

static void *wait_for_ever(void *argument)
{
    casehook_status *status = NULL;
    int64_t id = *(int64_t *)argument;
    CHECK(casehook_wait(agent, id, -1, &status, NULL) == CASEHOOK_ERROR_CLOSED);
    CHECK(status == NULL);
    return NULL;
}

int main(int argc, char **argv)
{
    pthread_t threads[THREADS], waiting;
    casehook_error *err = NULL;
    char *db, *json = NULL;
    int64_t parked = 0, sum = 0;
    int i;

    CHECK(argc == 3);
    db = in(argv[1], "closing.db");
    OK(casehook_open(db, NULL, &agent, &err));
    OK(casehook_configure(agent, "parked", slurp(argv[2]), NULL, &err));
    OK(casehook_pause(agent, "parked", &err));
    OK(casehook_push_json(agent, "parked", "{\"incident\": {\"title\": \"t\"}}", &parked, &err));
    OK(casehook_configure(agent, "tracker", slurp(argv[2]), NULL, &err));
    CHECK(pthread_create(&waiting, NULL, wait_for_ever, &parked) == 0);
    for (i = 0; i < THREADS; i++)
        CHECK(pthread_create(&threads[i], NULL, push, &accepted[i]) == 0);
    for (i = 0; i < THREADS; i++)
        while (__atomic_load_n(&accepted[i], __ATOMIC_RELAXED) < 5)
            ;
    OK(casehook_close(agent, 5000, &err));
    for (i = 0; i < THREADS; i++) {
        CHECK(pthread_join(threads[i], NULL) == 0);
        sum += accepted[i];
    }
    CHECK(pthread_join(waiting, NULL) == 0);
    casehook_agent_free(agent);

    /* Whatever was accepted is there: numbers are given without gaps. */
    agent = NULL;
    OK(casehook_open(db, NULL, &agent, &err));
    OK(casehook_list_json(agent, "{\"limit\": 1}", &json, &err));
    CHECK(strtoll(strstr(json, "\"id\":") + 5, NULL, 10) == sum + 1);
    casehook_string_free(json);
    casehook_agent_free(agent);
    free(db);
    return 0;
}

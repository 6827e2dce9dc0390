/* postgres URL SPOOL CONNECTOR.json: pushes to a database server, and to a spool while the server is away.
 * Says "ready" when the server may be cut off, then "spooled" when it may be back; a line on standard input says it is. */
#include "check.h"

static void said(const char *word)
{
    char line[64];
    printf("%s\n", word);
    fflush(stdout);
    CHECK(fgets(line, sizeof line, stdin) != NULL);
}

static int64_t delivered(casehook_agent *agent, int64_t id)
{
    casehook_status *status = NULL;
    casehook_error *err = NULL;
    casehook_result result;
    int64_t found;

    /* The server may not be back for every connection at once. */
    while ((result = casehook_wait(agent, id, 120000, &status, &err)) == CASEHOOK_ERROR_BUSY) {
        CHECK(casehook_error_is_retryable(err));
        casehook_error_free(err);
        err = NULL;
    }
    OK(result);
    CHECK(casehook_status_state(status) == CASEHOOK_STATE_DELIVERED);
    found = casehook_status_id(status);
    casehook_status_free(status);
    return found;
}

int main(int argc, char **argv)
{
    static const uint8_t key[32] = {7};
    casehook_options *options = casehook_options_new();
    casehook_agent *agent = NULL;
    casehook_error *err = NULL;
    char *json = NULL;
    int64_t id = 0, spooled = 0;

    CHECK(argc == 4);
    OK(casehook_options_set_key(options, key, sizeof key, &err));
    OK(casehook_options_set_spool(options, argv[2], &err));
    OK(casehook_open(argv[1], options, &agent, &err));
    casehook_options_free(options);
    OK(casehook_configure(agent, "tracker", slurp(argv[3]), NULL, &err));
    OK(casehook_push_json(agent, "tracker", "{\"incident\": {\"title\": \"a\", \"id\": \"c\"}}", &id, &err));
    CHECK(id > 0 && delivered(agent, id) == id);
    said("ready");

    OK(casehook_push_json(agent, "tracker", "{\"incident\": {\"title\": \"b\", \"id\": \"c\"}}", &spooled, &err));
    CHECK(spooled < 0);
    FAILS(casehook_stats_json(agent, &json, &err), CASEHOOK_ERROR_BUSY);
    said("spooled");

    CHECK(delivered(agent, spooled) > id);
    OK(casehook_close(agent, 5000, &err));
    casehook_agent_free(agent);
    return 0;
}

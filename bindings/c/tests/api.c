/* api DIRECTORY CONNECTOR.json: the way of a case through every function, against a case system that is up. */
#include "check.h"

static void takes(const char *json, const char *part)
{
    if (strstr(json, part) == NULL) {
        fprintf(stderr, "%s does not hold %s\n", json, part);
        abort();
    }
}

int main(int argc, char **argv)
{
    casehook_agent *agent = NULL, *second = NULL;
    casehook_options *options = casehook_options_new();
    casehook_status *status = NULL;
    casehook_error *err = NULL;
    char *json = NULL, *db, *copy;
    const char *config, *tags[] = {"infra", "dïsk"}, *names[] = {"CASEHOOK_TEST_SECRET"};
    casehook_comment comments[] = {{"c1", "first look"}, {NULL, "no id"}};
    casehook_case c = CASEHOOK_CASE_INIT;
    unsigned char key[32] = {1, 2, 3};
    int64_t id = 0, next = 0;
    bool done = false;

    CHECK(argc == 3);
    db = in(argv[1], "api.db");
    copy = in(argv[1], "api-copy.db");
    config = slurp(argv[2]);
    CHECK(strcmp(casehook_version(), CASEHOOK_VERSION) == 0);

    OK(casehook_options_set_key(options, key, sizeof key, &err));
    OK(casehook_options_set_settings_json(options, "{\"responseTimeout\": \"20s\"}", &err));
    OK(casehook_options_set_workers(options, 2, &err));
    OK(casehook_options_set_drain(options, true, &err));
    OK(casehook_options_set_max_queued(options, 100, &err));
    OK(casehook_options_set_history(options, 3600, 1000, &err));
    OK(casehook_options_set_secret_env(options, names, 1, &err));
    OK(casehook_options_set_secret_dir(options, argv[1], &err));
    OK(casehook_options_set_trust_location(options, false, &err));
    OK(casehook_open(db, options, &agent, &err));
    casehook_options_free(options);
    OK(casehook_open(db, NULL, &second, &err));

    OK(casehook_presets_json(&json, &err));
    takes(json, "\"name\":\"jira-cloud\"");
    casehook_string_free(json);
    OK(casehook_preset_json("redmine", "{\"url\": \"https://r.example\", \"project\": \"p\", \"tracker\": 7}", &json, &err));
    takes(json, "https://r.example/issues.json");
    takes(json, "\\\"tracker_id\\\":7");
    OK(casehook_configure(agent, "redmine", json, NULL, &err));
    OK(casehook_remove(agent, "redmine", &err));
    casehook_string_free(json);
    FAILS(casehook_preset_json("redmine", NULL, &json, &err), CASEHOOK_ERROR_ARGUMENT);
    REFUSES(casehook_preset_json("redmine", "[1]", &json, &err), "params_json");
    REFUSES(casehook_preset_json("redmine", "{\"url\": {}}", &json, &err), "url");
    FAILS(casehook_preset_json("redmin", "{}", &json, &err), CASEHOOK_ERROR_NOT_FOUND);
    FAILS(casehook_preset_json(NULL, "{}", &json, &err), CASEHOOK_ERROR_ARGUMENT);
    FAILS(casehook_preset_json("redmine", "{}", NULL, &err), CASEHOOK_ERROR_ARGUMENT);
    FAILS(casehook_presets_json(NULL, &err), CASEHOOK_ERROR_ARGUMENT);

    FAILS(casehook_configure(agent, "tracker", "{\"createIncidentUrl\": 5}", NULL, &err), CASEHOOK_ERROR_CONFIG);
    OK(casehook_configure(agent, "tracker", config, "{}", &err));
    OK(casehook_connector_json(agent, "tracker", &json, &err));
    takes(json, "\"name\":\"tracker\"");
    takes(json, "\"config\":{");
    takes(json, "\"warnings\":[");
    casehook_string_free(json);
    OK(casehook_connectors_json(second, &json, &err));
    takes(json, "[{\"name\":\"tracker\"");
    casehook_string_free(json);

    c.title = "Disk füll";
    c.id = "host-7/disk";
    c.description = "95 % of /var is in use";
    c.severity = "high";
    c.status = "open";
    c.fields_json = "{\"rack\": 7}";
    c.tags = tags;
    c.tag_count = 2;
    c.comments = comments;
    c.comment_count = 2;
    c.traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    OK(casehook_push(agent, "tracker", &c, &id, &err));
    CHECK(id > 0);
    OK(casehook_wait(agent, id, 30000, &status, &err));
    CHECK(casehook_status_id(status) == id);
    CHECK(casehook_status_state(status) == CASEHOOK_STATE_DELIVERED);
    CHECK(strcmp(casehook_status_state_name(status), "delivered") == 0);
    CHECK(casehook_status_is_final(status));
    CHECK(strcmp(casehook_status_connector(status), "tracker") == 0);
    CHECK(strcmp(casehook_status_case_id(status), "host-7/disk") == 0);
    CHECK(strcmp(casehook_status_external_id(status), "1001") == 0);
    CHECK(strcmp(casehook_status_external_title(status), "CASE-1001") == 0);
    CHECK(strstr(casehook_status_external_url(status), "/browse/CASE-1001") != NULL);
    CHECK(casehook_status_attempts(status) == 0);
    CHECK(casehook_status_created_at(status) > 1700000000000);
    CHECK(casehook_status_updated_at(status) >= casehook_status_created_at(status));
    CHECK(casehook_status_next_attempt_at(status) == 0);
    CHECK(!casehook_status_is_uncertain(status));
    CHECK(casehook_status_superseded_by(status) == 0);
    CHECK(casehook_status_error_code(status) == NULL && casehook_status_error_kind(status) == NULL);
    CHECK(casehook_status_error_message(status) == NULL && casehook_status_error_step(status) == NULL);
    CHECK(casehook_status_error_http_status(status) == 0 && !casehook_status_error_is_retryable(status));
    OK(casehook_status_json(status, &json, &err));
    takes(json, "\"state\":\"delivered\"");
    takes(json, "\"commentId\":\"c1\"");
    casehook_string_free(json);
    casehook_status_free(status);

    OK(casehook_push_json(agent, "tracker", "{\"incident\": {\"title\": \"again\", \"id\": \"host-7/disk\"}}", &next, &err));
    CHECK(next > id);
    OK(casehook_flush(agent, 30000, &done, &err));
    CHECK(done);
    OK(casehook_get_status(second, next, &status, &err));
    CHECK(casehook_status_state(status) == CASEHOOK_STATE_DELIVERED);
    CHECK(strcmp(casehook_status_external_id(status), "1001") == 0);
    casehook_status_free(status);
    FAILS(casehook_get_status(agent, 123456, &status, &err), CASEHOOK_ERROR_NOT_FOUND);
    CHECK(status == NULL);

    OK(casehook_attempts_json(agent, id, &json, &err));
    takes(json, "\"step\":\"create\"");
    casehook_string_free(json);
    OK(casehook_link_json(agent, "tracker", "host-7/disk", &json, &err));
    takes(json, "\"externalId\":\"1001\"");
    casehook_string_free(json);
    OK(casehook_link_json(agent, "tracker", "another", &json, &err));
    CHECK(strcmp(json, "null") == 0);
    casehook_string_free(json);
    OK(casehook_preview_json(agent, "tracker", "{\"incident\": {\"title\": \"t\"}}", &json, &err));
    takes(json, "\"method\":\"POST\"");
    casehook_string_free(json);
    OK(casehook_test_json(agent, "tracker", "{\"incident\": {\"title\": \"t\"}}", &json, &err));
    takes(json, "\"ok\":true");
    casehook_string_free(json);
    OK(casehook_test_get_json(agent, "tracker", "1001", &json, &err));
    takes(json, "\"ok\":true");
    takes(json, "\"step\":\"get\"");
    CHECK(strstr(json, "\"create\"") == NULL && strstr(json, "\"comment\"") == NULL);
    casehook_string_free(json);
    OK(casehook_test_get_json(agent, "tracker", "987654", &json, &err));
    takes(json, "\"ok\":false");
    casehook_string_free(json);
    FAILS(casehook_test_get_json(agent, "tracker", "", &json, &err), CASEHOOK_ERROR_ARGUMENT);
    FAILS(casehook_test_get_json(agent, "nobody", "1", &json, &err), CASEHOOK_ERROR_NOT_FOUND);

    OK(casehook_pause(agent, "tracker", &err));
    OK(casehook_push_many_json(agent, "tracker",
                               "[{\"incident\": {\"title\": \"a\"}}, {\"incident\": {\"title\": \"b\"}}]", &json, &err));
    id = strtoll(json + 1, NULL, 10);
    next = strtoll(strchr(json, ',') + 1, NULL, 10);
    CHECK(id > 0 && next == id + 1);
    casehook_string_free(json);
    CHECK(casehook_push_many_json(agent, "tracker", "[{\"incident\": {\"title\": \"a\"}}, {\"incident\": {}}]", &json,
                                  &err) == CASEHOOK_ERROR_CASE);
    CHECK(strcmp(casehook_error_field(err), "cases[1].incident.title") == 0);
    casehook_error_free(err);
    err = NULL;
    OK(casehook_list_json(agent, "{\"state\": \"queued\", \"limit\": 1}", &json, &err));
    takes(json, "\"state\":\"queued\"");
    casehook_string_free(json);
    OK(casehook_list_json(agent, NULL, &json, &err));
    takes(json, "\"state\":\"delivered\"");
    casehook_string_free(json);
    REFUSES(casehook_list_json(agent, "{\"state\": \"lost\"}", &json, &err), "filter_json.state");
    REFUSES(casehook_list_json(agent, "{\"colour\": \"red\"}", &json, &err), "filter_json");
    OK(casehook_stats_json(agent, &json, &err));
    takes(json, "\"queued\":2");
    casehook_string_free(json);
    OK(casehook_metrics_text(agent, &json, &err));
    takes(json, "casehook_pushes{connector=\"tracker\",state=\"queued\"} 2\n");
    casehook_string_free(json);
    FAILS(casehook_wait(agent, id, 1, &status, &err), CASEHOOK_ERROR_TIMEOUT);
    OK(casehook_flush(agent, 0, &done, &err));
    CHECK(!done);

    FAILS(casehook_retry(agent, id, &err), CASEHOOK_ERROR_STATE);
    FAILS(casehook_discard(agent, id, &err), CASEHOOK_ERROR_STATE);
    FAILS(casehook_adopt(agent, id, "1001", &err), CASEHOOK_ERROR_STATE);
    FAILS(casehook_remove(agent, "tracker", &err), CASEHOOK_ERROR_STATE);
    OK(casehook_cancel(agent, id, &err));
    OK(casehook_resume(agent, "tracker", &err));
    OK(casehook_wait(agent, next, -1, &status, &err));
    casehook_status_free(status);
    OK(casehook_rekey(agent, (const uint8_t *)"another key of exactly 32 bytes.", 32, &err));
    FAILS(casehook_rekey(agent, NULL, 0, &err), CASEHOOK_ERROR_ARGUMENT);
    OK(casehook_backup(agent, copy, &err));
    FAILS(casehook_backup(agent, copy, &err), CASEHOOK_ERROR_ARGUMENT);
    OK(casehook_remove_cancelling(agent, "tracker", &err));
    FAILS(casehook_push(agent, "tracker", &c, &id, &err), CASEHOOK_ERROR_NOT_FOUND);

    OK(casehook_close(agent, 5000, &err));
    OK(casehook_close(agent, 5000, &err));
    OK(casehook_stats_json(second, &json, &err));
    casehook_string_free(json);
    casehook_agent_free(agent);
    casehook_agent_free(second);
    free(db);
    free(copy);
    return 0;
}

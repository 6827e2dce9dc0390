/*
 * random_calls DIRECTORY CONNECTOR.json SEED CALLS: calls with random arguments in a random order. Whatever they are, a
 * result and its error agree, and what fails gives out nothing. What a call gave out goes to these checks by its address:
 * C may read the arguments of a check before it makes the call that is one of them.
 *
 * With CASEHOOK_FUZZ there is no program but a function, whose bytes stand for the dice: see tests/fuzz/fuzz_targets/c.rs.
 */
#include "check.h"

static casehook_error *err;
static const char *config;

#ifdef CASEHOOK_FUZZ
static const uint8_t *dice;
static size_t dice_left;

static uint64_t roll(uint64_t sides)
{
    if (dice_left == 0)
        return 0;
    dice_left--;
    return *dice++ % sides;
}
#else
static uint64_t state;

static uint64_t roll(uint64_t sides)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state % sides;
}
#endif

#define PICK(list) (list)[roll(sizeof(list) / sizeof(*(list)))]

static const char *text(void)
{
    static char longer[100000];
    static const char *const texts[] = {
        NULL, "", "tracker", "other", "t", "\xff\xfe", "a\xc3", "caf\xc3\xa9", "\xed\xa0\x80", "{}", "[]", "null", "{\"a\":",
        "{\"incident\":{\"title\":\"t\"}}", "{\"incident\":{\"title\":\"t\",\"id\":\"c\",\"tags\":[\"a\"]},\"comments\":[]}",
        "[{\"incident\":{\"title\":\"t\"}},{\"incident\":{\"title\":\"u\"}}]", "[{\"incident\":{\"title\":5}}]",
        "{\"state\":\"queued\"}", "{\"limit\":3,\"before\":5}", "{\"limit\":-1}", "{\"user\":\"u\",\"password\":\"p\"}",
        "{\"incident\":{\"title\":\"\\u0000\\ud800\"}}", "{\"responseTimeout\":\"5s\"}", "1001", "/", "."};
    if (roll(40) == 0) {
        memset(longer, 'x', sizeof longer - 1);
        return longer;
    }
    if (roll(60) == 0) {
        memset(longer, '[', sizeof longer - 1);
        return longer;
    }
    return roll(12) == 0 ? config : PICK(texts);
}

static const char *name(void)
{
    return roll(3) ? "tracker" : text();
}

static int64_t number(void)
{
    static const int64_t numbers[] = {0, -1, INT64_MIN, INT64_MAX, INT32_MAX, 1000000};
    return roll(4) ? (int64_t)roll(60) : PICK(numbers);
}

static casehook_case random_case(void)
{
    static const char *tags[3];
    static casehook_comment comments[3];
    static const size_t counts[] = {0, 1, 2, 3, 3, SIZE_MAX};
    static const size_t sizes[] = {0, 8, sizeof(casehook_case) - 1, 5000, SIZE_MAX};
    casehook_case c = CASEHOOK_CASE_INIT;
    int i;

    for (i = 0; i < 3; i++) {
        tags[i] = roll(4) ? "tag" : text();
        comments[i].id = roll(2) ? "c1" : text();
        comments[i].text = roll(4) ? "first look" : text();
    }
    c.title = roll(5) ? "title" : text();
    c.id = roll(2) ? "case" : text();
    c.description = roll(2) ? NULL : text();
    c.severity = roll(4) ? NULL : text();
    c.status = roll(4) ? NULL : text();
    c.external_id = roll(6) ? NULL : text();
    c.fields_json = roll(4) ? NULL : text();
    c.traceparent = roll(8) ? NULL : text();
    if (roll(3) == 0) {
        c.tags = roll(5) ? tags : NULL;
        c.tag_count = PICK(counts);
    }
    if (roll(3) == 0) {
        c.comments = roll(5) ? comments : NULL;
        c.comment_count = PICK(counts);
    }
    if (roll(20) == 0)
        c.size = PICK(sizes);
    return c;
}

/* What every fallible call promises. */
static void agree(casehook_result result)
{
    CHECK(result >= CASEHOOK_OK && result <= CASEHOOK_ERROR_SECOND_COPY);
    CHECK(result != CASEHOOK_ERROR_INTERNAL);
    if (err != NULL)
        CHECK(casehook_error_code(err) == result && casehook_error_message(err)[0] != '\0');
    casehook_error_free(err);
    err = NULL;
}

static void gives(casehook_result result, char **json)
{
    CHECK((result == CASEHOOK_OK) == (*json != NULL));
    casehook_string_free(*json);
    agree(result);
}

static void shows(casehook_result result, casehook_status **out)
{
    casehook_status *status = *out;
    char *json = NULL;
    CHECK((result == CASEHOOK_OK) == (status != NULL));
    agree(result);
    if (status != NULL) {
        CHECK(casehook_status_state(status) != CASEHOOK_STATE_UNKNOWN && casehook_status_id(status) > 0);
        gives(casehook_status_json(status, &json, &err), &json);
    }
    casehook_status_free(status);
}

static void counts(casehook_result result, int64_t *id)
{
    CHECK((result == CASEHOOK_OK) == (*id > 0));
    agree(result);
}

static casehook_agent *open_one(const char *db)
{
    casehook_agent *agent = NULL;
    casehook_options *options = roll(4) ? casehook_options_new() : NULL;
    const char *names[] = {text(), text()};
    casehook_result result;

    if (roll(3) == 0)
        agree(casehook_options_set_workers(options, roll(5) ? (uint32_t)(1 + roll(4)) : (uint32_t)number(), &err));
    if (roll(3) == 0)
        agree(casehook_options_set_drain(options, roll(2), &err));
    if (roll(5) == 0)
        agree(casehook_options_set_max_queued(options, (uint64_t)number(), &err));
    if (roll(5) == 0)
        agree(casehook_options_set_history(options, (uint64_t)number(), (uint64_t)number(), &err));
    if (roll(8) == 0)
        agree(casehook_options_set_settings_json(options, text(), &err));
    if (roll(8) == 0)
        agree(casehook_options_set_secret_env(options, roll(4) ? names : NULL, roll(3), &err));
    if (roll(8) == 0)
        agree(casehook_options_set_secret_dir(options, text(), &err));
    if (roll(8) == 0)
        agree(casehook_options_set_trust_location(options, roll(2), &err));
    if (roll(20) == 0)
        agree(casehook_options_set_spool(options, text(), &err));
    if (roll(8) == 0)
        agree(casehook_options_set_key(options, (const uint8_t *)"0123456789abcdef0123456789abcdef", roll(33), &err));
    result = casehook_open(roll(20) ? db : PICK(((const char *const[]){NULL, "/", "", "\xff"})), options, &agent, &err);
    CHECK((result == CASEHOOK_OK) == (agent != NULL));
    agree(result);
    casehook_options_free(options);
    return agent;
}

static void call(casehook_agent *agent)
{
    casehook_case c = random_case();
    casehook_status *status = NULL;
    casehook_error **to = roll(10) ? &err : NULL;
    char *json = NULL;
    int64_t id = 0;
    bool done = false;

    switch (roll(32)) {
    case 0: agree(casehook_configure(agent, name(), roll(2) ? config : text(), roll(2) ? NULL : text(), to)); break;
    case 1: gives(casehook_connector_json(agent, name(), &json, to), &json); break;
    case 2: gives(casehook_connectors_json(agent, &json, to), &json); break;
    case 3: agree(casehook_remove(agent, name(), to)); break;
    case 4: agree(roll(4) ? casehook_pause(agent, "other", to) : casehook_remove_cancelling(agent, name(), to)); break;
    case 5: agree(casehook_pause(agent, name(), to)); break;
    case 6: case 7: agree(casehook_resume(agent, name(), to)); break;
    case 8: gives(casehook_preview_json(agent, name(), text(), &json, to), &json); break;
    case 9:
        gives(roll(2) ? casehook_test_json(agent, name(), text(), &json, to)
                      : casehook_test_get_json(agent, name(), text(), &json, to),
              &json);
        break;
    case 10: case 11: case 12: counts(casehook_push(agent, name(), roll(20) ? &c : NULL, &id, to), &id); break;
    case 13: counts(casehook_push_json(agent, name(), text(), &id, to), &id); break;
    case 14: gives(casehook_push_many_json(agent, name(), text(), &json, to), &json); break;
    case 15: shows(casehook_wait(agent, number(), (int64_t)roll(5), &status, to), &status); break;
    case 16: agree(casehook_flush(agent, (int64_t)roll(5), &done, to)); break;
    case 17: shows(casehook_get_status(agent, number(), &status, to), &status); break;
    case 18: agree(casehook_retry(agent, number(), to)); break;
    case 19: agree(casehook_cancel(agent, number(), to)); break;
    case 20: agree(casehook_adopt(agent, number(), text(), to)); break;
    case 21: agree(casehook_discard(agent, number(), to)); break;
    case 22: gives(casehook_list_json(agent, text(), &json, to), &json); break;
    case 23: gives(casehook_attempts_json(agent, number(), &json, to), &json); break;
    case 24: gives(casehook_stats_json(agent, &json, to), &json); break;
    case 25: gives(casehook_link_json(agent, name(), text(), &json, to), &json); break;
    case 26: agree(casehook_backup(agent, PICK(((const char *const[]){NULL, "", "/", "\xff", "/no/such/place"})), to)); break;
    case 27: agree(casehook_rekey(agent, roll(4) ? (const uint8_t *)"fedcba9876543210fedcba9876543210" : NULL, roll(2) ? 32 : roll(33), to)); break;
    case 28: gives(casehook_metrics_text(agent, &json, to), &json); break;
    case 29: gives(casehook_presets_json(&json, to), &json); break;
    case 30: {
        const char *parameters[] = {NULL, "{}", "{\"url\":\"https://t.example\",\"project\":\"ops\"}", text()};
        gives(casehook_preset_json(roll(3) ? "redmine" : text(), PICK(parameters), &json, to), &json);
        break;
    }
    default:
        if (roll(20) == 0)
            agree(casehook_close(agent, roll(10) ? (int64_t)roll(50) : number(), to));
        break;
    }
}

static void one_of_them(casehook_agent **agents, const char *db)
{
    casehook_agent **agent = &agents[roll(3)];
    if (*agent == NULL) {
        *agent = roll(10) ? open_one(db) : NULL;
    } else if (roll(150) == 0) {
        casehook_agent_free(*agent);
        *agent = NULL;
    }
    call(*agent);
}

static void free_all(casehook_agent **agents)
{
    int i;
    for (i = 0; i < 3; i++)
        casehook_agent_free(agents[i]);
}

#ifdef CASEHOOK_FUZZ
void casehook_random_calls(const char *db, const char *connector, const uint8_t *bytes, size_t count);

void casehook_random_calls(const char *db, const char *connector, const uint8_t *bytes, size_t count)
{
    casehook_agent *agents[3] = {NULL, NULL, NULL};

    config = connector;
    dice = bytes;
    dice_left = count;
    while (dice_left > 0)
        one_of_them(agents, db);
    free_all(agents);
}
#else
int main(int argc, char **argv)
{
    casehook_agent *agents[3] = {NULL, NULL, NULL};
    char *db;
    int calls, i;

    CHECK(argc == 5);
    db = in(argv[1], "random.db");
    config = slurp(argv[2]);
    state = 0x9e3779b97f4a7c15u ^ (strtoull(argv[3], NULL, 10) * 0x2545f4914f6cdd1du);
    for (i = 0; i < 8; i++)
        roll(2);
    calls = atoi(argv[4]);
    for (i = 0; i < calls; i++)
        one_of_them(agents, db);
    free_all(agents);
    free(db);
    return 0;
}
#endif

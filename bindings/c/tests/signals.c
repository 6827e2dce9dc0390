/* signals DIRECTORY CONNECTOR.json: no handler of the program runs on casehook's threads, and no SIGPIPE comes of them. */
#define _DEFAULT_SOURCE
#include "check.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LONG = 3 * 1024 * 1024, CUTS = 3 };

static const int blocked[] = {SIGHUP, SIGINT, SIGPIPE, SIGALRM, SIGTERM, SIGUSR1, SIGCHLD, SIGPROF};
static const int open_[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS};
static volatile sig_atomic_t pipes, elsewhere, seen;
static pthread_t only;

static void on_signal(int number)
{
    if (number == SIGPIPE)
        pipes++;
    if (!pthread_equal(pthread_self(), only))
        elsewhere++;
    seen++;
}

/* Nothing: that a callback is there gives casehook one thread more. */
static void quiet(void *user_data, casehook_log_level level, const char *message)
{
    (void)user_data, (void)level, (void)message;
}

/* The value of a line of what the system tells of a thread. */
static void told(const char *thread, const char *line_of, char *value, size_t size)
{
    char path[300], line[200];
    FILE *file;

    snprintf(path, sizeof path, "/proc/self/task/%s/status", thread);
    file = fopen(path, "r");
    CHECK(file != NULL);
    value[0] = '\0';
    while (fgets(line, sizeof line, file) != NULL)
        if (strncmp(line, line_of, strlen(line_of)) == 0)
            snprintf(value, size, "%s", line + strlen(line_of));
    fclose(file);
}

/* How many threads of casehook's there are, each with the right mask; 0 while one of them still begins, with all blocked. */
static int check_masks(void)
{
    DIR *tasks = opendir("/proc/self/task");
    struct dirent *entry;
    int threads = 0, starting = 0;
    size_t i;

    CHECK(tasks != NULL);
    while ((entry = readdir(tasks)) != NULL) {
        unsigned long long mask;
        char name[100], blocks[100];
        if (entry->d_name[0] == '.')
            continue;
        /* A sanitizer has threads too. */
        told(entry->d_name, "Name:\t", name, sizeof name);
        if (strncmp(name, "casehook-", 9) != 0)
            continue;
        told(entry->d_name, "SigBlk:\t", blocks, sizeof blocks);
        mask = strtoull(blocks, NULL, 16);
        for (i = 0; i < sizeof blocked / sizeof *blocked; i++)
            CHECK(mask >> (blocked[i] - 1) & 1);
        for (i = 0; i < sizeof open_ / sizeof *open_; i++)
            starting |= mask >> (open_[i] - 1) & 1;
        threads++;
    }
    closedir(tasks);
    return starting ? 0 : threads;
}

/* Closes each connection when the request has only begun, so that its sender writes to nobody. */
static void *cut(void *argument)
{
    int listener = *(int *)argument, i;
    struct linger reset = {1, 0};
    char byte;

    for (i = 0; i < CUTS; i++) {
        int one = accept(listener, NULL, NULL);
        CHECK(one >= 0);
        CHECK(recv(one, &byte, 1, 0) == 1);
        CHECK(setsockopt(one, SOL_SOCKET, SO_LINGER, &reset, sizeof reset) == 0);
        close(one);
    }
    close(listener);
    return NULL;
}

static int listen_to_cut(pthread_t *thread, int *listener)
{
    struct sockaddr_in address = {0};
    socklen_t length = sizeof address;

    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    *listener = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(*listener >= 0 && bind(*listener, (struct sockaddr *)&address, sizeof address) == 0);
    CHECK(listen(*listener, 8) == 0 && getsockname(*listener, (struct sockaddr *)&address, &length) == 0);
    CHECK(pthread_create(thread, NULL, cut, listener) == 0);
    return ntohs(address.sin_port);
}

/* A target that hangs up in the middle of requests. */
static void hung_up_on(casehook_agent *agent)
{
    casehook_error *err = NULL;
    casehook_status *status = NULL;
    casehook_case c = CASEHOOK_CASE_INIT;
    char config[1000], *text = malloc(LONG + 1), *json = NULL;
    int listener, port, i;
    pthread_t thread;
    int64_t id;

    CHECK(text != NULL);
    memset(text, 'x', LONG);
    text[LONG] = '\0';
    port = listen_to_cut(&thread, &listener);
    snprintf(config, sizeof config,
             "{\"createIncidentUrl\": \"http://127.0.0.1:%d/\", \"createIncidentResponseKey\": \"id\","
             " \"createIncidentJson\": \"{\\\"d\\\": {{{case.description}}}}\", \"hasAuth\": false,"
             " \"getIncidentUrl\": \"http://127.0.0.1:%d/{{{external.system.id}}}\","
             " \"getIncidentResponseExternalTitleKey\": \"key\","
             " \"viewIncidentUrl\": \"http://127.0.0.1:%d/{{{external.system.id}}}\","
             " \"updateIncidentUrl\": \"http://127.0.0.1:%d/{{{external.system.id}}}\","
             " \"updateIncidentJson\": \"{\\\"d\\\": {{{case.description}}}}\"}",
             port, port, port, port);
    OK(casehook_configure(agent, "cut", config, NULL, &err));
    c.title = "t";
    c.description = text;
    OK(casehook_push(agent, "cut", &c, &id, &err));
    for (i = 0; i < 20000; i++) {
        const char *code;
        OK(casehook_get_status(agent, id, &status, &err));
        code = casehook_status_error_code(status);
        if (code != NULL)
            break;
        casehook_status_free(status);
        poll(NULL, 0, 1);
    }
    CHECK(i < 20000);
    casehook_status_free(status);
    snprintf(config, sizeof config, "{\"incident\": {\"title\": \"t\", \"description\": \"%0500d\"}}", 0);
    for (i = 1; i < CUTS; i++) {
        OK(casehook_test_json(agent, "cut", config, &json, &err));
        CHECK(strstr(json, "\"ok\":false") != NULL);
        casehook_string_free(json);
    }
    OK(casehook_remove_cancelling(agent, "cut", &err));
    shutdown(listener, SHUT_RDWR);
    CHECK(pthread_join(thread, NULL) == 0);
    free(text);
}

int main(int argc, char **argv)
{
    struct sigaction action;
    casehook_agent *agent = NULL;
    casehook_error *err = NULL;
    sigset_t one, before, after;
    char *db;
    int i;

    CHECK(argc == 3);
    db = in(argv[1], "signals.db");
    only = pthread_self();
    memset(&action, 0, sizeof action);
    action.sa_handler = on_signal;
    action.sa_flags = SA_RESTART;
    CHECK(sigaction(SIGUSR1, &action, NULL) == 0 && sigaction(SIGPIPE, &action, NULL) == 0);

    CHECK(pthread_sigmask(SIG_BLOCK, NULL, &before) == 0);
    OK(casehook_set_log_callback(quiet, NULL, CASEHOOK_LOG_DEBUG, &err));
    OK(casehook_open(db, NULL, &agent, &err));
    CHECK(pthread_sigmask(SIG_BLOCK, NULL, &after) == 0);
    for (i = 1; i < 32; i++)
        CHECK(sigismember(&before, i) == sigismember(&after, i));
    for (i = 0; i < 20000 && check_masks() < 2; i++)
        poll(NULL, 0, 1);
    CHECK(i < 20000);

    /* Sent to the process while the program's own thread does not take it: it waits for that one. */
    sigemptyset(&one);
    sigaddset(&one, SIGUSR1);
    CHECK(pthread_sigmask(SIG_BLOCK, &one, NULL) == 0);
    CHECK(kill(getpid(), SIGUSR1) == 0);
    OK(casehook_configure(agent, "tracker", slurp(argv[2]), NULL, &err));
    CHECK(seen == 0);
    CHECK(pthread_sigmask(SIG_UNBLOCK, &one, NULL) == 0);
    CHECK(seen == 1 && elsewhere == 0);

    hung_up_on(agent);
    CHECK(pipes == 0 && seen == 1);
    OK(casehook_set_log_callback(NULL, NULL, 0, &err));
    OK(casehook_close(agent, 5000, &err));
    casehook_agent_free(agent);
    free(db);
    return 0;
}

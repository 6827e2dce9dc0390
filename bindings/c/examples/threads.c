/*
 * Eight threads push through one agent; their commits are shared, so that together they are faster than one.
 *
 *     threads DATABASE CONNECTOR.json PUSHES-A-THREAD
 *
 *     cc threads.c -pthread $(pkg-config --cflags --libs casehook) -o threads
 */
#include <casehook.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum { THREADS = 8 };

struct job {
    casehook_agent *agent;
    int thread;
    int pushes;
    int accepted;
};

static void *work(void *argument)
{
    struct job *job = argument;
    int i;

    for (i = 0; i < job->pushes; i++) {
        char title[64], id[64];
        casehook_case c = CASEHOOK_CASE_INIT;
        casehook_error *err;
        int64_t push;

        snprintf(title, sizeof title, "Case %d of thread %d", i, job->thread);
        snprintf(id, sizeof id, "%d/%d", job->thread, i);
        c.title = title;
        c.id = id;
        if (casehook_push(job->agent, "tracker", &c, &push, &err)) {
            fprintf(stderr, "push: %s\n", casehook_error_message(err));
            casehook_error_free(err);
            break;
        }
        job->accepted++;
    }
    return NULL;
}

int main(int argc, char **argv)
{
    static char config[64 * 1024];
    pthread_t threads[THREADS];
    struct job jobs[THREADS];
    casehook_agent *agent = NULL;
    casehook_error *err = NULL;
    int pushes = argc == 4 ? atoi(argv[3]) : 0, accepted = 0, i;
    bool done = false;
    FILE *file = argc == 4 ? fopen(argv[2], "rb") : NULL;

    if (!file || pushes < 1) {
        fprintf(stderr, "usage: threads DATABASE CONNECTOR.json PUSHES-A-THREAD\n");
        return 2;
    }
    config[fread(config, 1, sizeof config - 1, file)] = '\0';
    fclose(file);

    if (casehook_open(argv[1], NULL, &agent, &err) || casehook_configure(agent, "tracker", config, NULL, &err)) {
        fprintf(stderr, "%s\n", casehook_error_message(err));
        return 1;
    }
    for (i = 0; i < THREADS; i++) {
        struct job job = {agent, i, pushes, 0};
        jobs[i] = job;
        if (pthread_create(&threads[i], NULL, work, &jobs[i]))
            return 1;
    }
    for (i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        accepted += jobs[i].accepted;
    }
    printf("%d pushes accepted\n", accepted);
    if (!casehook_flush(agent, 60000, &done, NULL))
        printf("%s\n", done ? "all delivered" : "some are still under way");
    casehook_agent_free(agent);
    return accepted == THREADS * pushes && done ? 0 : 1;
}

/*
 * Pushes one case and waits for it.
 *
 *     push DATABASE CONNECTOR.json TITLE
 *
 *     cc push.c $(pkg-config --cflags --libs casehook) -o push
 */
#include <casehook.h>
#include <stdio.h>
#include <stdlib.h>

static int fail(const char *doing, casehook_error *err)
{
    fprintf(stderr, "%s: %s\n", doing, casehook_error_message(err));
    casehook_error_free(err);
    return 1;
}

/* The whole file as a string, or NULL. */
static char *read_file(const char *path)
{
    static char text[64 * 1024];
    FILE *file = fopen(path, "rb");
    size_t length = file ? fread(text, 1, sizeof text - 1, file) : 0;
    if (file)
        fclose(file);
    text[length] = '\0';
    return length > 0 ? text : NULL;
}

int main(int argc, char **argv)
{
    const char *tags[] = {"infra", "disk"};
    casehook_comment comments[] = {{"c1", "first look"}};
    casehook_case disk = CASEHOOK_CASE_INIT;
    casehook_agent *agent;
    casehook_status *status;
    casehook_error *err;
    int64_t id;

    if (argc != 4 || !read_file(argv[2])) {
        fprintf(stderr, "usage: push DATABASE CONNECTOR.json TITLE\n");
        return 2;
    }
    disk.title = argv[3];
    disk.id = "host-7/disk";
    disk.tags = tags;
    disk.tag_count = 2;
    disk.comments = comments;
    disk.comment_count = 1;

    if (casehook_open(argv[1], NULL, &agent, &err))
        return fail("open", err);
    if (casehook_configure(agent, "tracker", read_file(argv[2]), NULL, &err))
        return fail("configure", err);
    if (casehook_push(agent, "tracker", &disk, &id, &err)) /* on disk from here on */
        return fail("push", err);
    if (casehook_wait(agent, id, 30000, &status, &err))
        return fail("wait", err);

    printf("push %lld is %s", (long long)id, casehook_status_state_name(status));
    if (casehook_status_external_url(status))
        printf(": %s", casehook_status_external_url(status));
    printf("\n");

    casehook_status_free(status);
    casehook_agent_free(agent);
    return 0;
}

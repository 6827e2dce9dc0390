/* unload DIRECTORY LIBRARY: dlclose() with an agent open does not pull the code from under its threads. */
#define _DEFAULT_SOURCE
#include "check.h"

#include <dlfcn.h>
#include <poll.h>

int main(int argc, char **argv)
{
    casehook_result (*open)(const char *, const casehook_options *, casehook_agent **, casehook_error **);
    casehook_agent *agent = NULL;
    void *library, *symbol;
    char *db;

    CHECK(argc == 3);
    db = in(argv[1], "unload.db");
    library = dlopen(argv[2], RTLD_NOW | RTLD_LOCAL);
    CHECK(library != NULL);
    symbol = dlsym(library, "casehook_open");
    CHECK(symbol != NULL);
    memcpy(&open, &symbol, sizeof open);
    CHECK(open(db, NULL, &agent, NULL) == CASEHOOK_OK);
    CHECK(dlclose(library) == 0);
    poll(NULL, 0, 1200);
    CHECK(dlopen(argv[2], RTLD_NOW | RTLD_NOLOAD) != NULL);
    free(db);
    return 0;
}

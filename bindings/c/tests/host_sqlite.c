/*
 * host_sqlite DIRECTORY: a program with an SQLite of its own. Prints the versions of the SQLite that it reaches itself, and
 * of the one that wrote casehook's database (at byte 96 of the file).
 */
#include "check.h"
#ifdef WITH_SQLITE
#include <sqlite3.h>
#endif

int main(int argc, char **argv)
{
    casehook_agent *agent = NULL;
    casehook_error *err = NULL;
    unsigned char header[100];
    FILE *file;
    char *db;

    CHECK(argc == 2);
    db = in(argv[1], "host.db");
#ifdef WITH_SQLITE
    sqlite3 *own = NULL;
    CHECK(sqlite3_open(":memory:", &own) == SQLITE_OK);
    CHECK(sqlite3_libversion_number() == SQLITE_VERSION_NUMBER);
    printf("host %d\n", sqlite3_libversion_number());
#endif
    OK(casehook_open(db, NULL, &agent, &err));
    OK(casehook_close(agent, 1000, &err));
    casehook_agent_free(agent);
#ifdef WITH_SQLITE
    CHECK(sqlite3_exec(own, "CREATE TABLE t (x); INSERT INTO t VALUES (1)", NULL, NULL, NULL) == SQLITE_OK);
    sqlite3_close(own);
#endif
    file = fopen(db, "rb");
    CHECK(file != NULL && fread(header, 1, sizeof header, file) == sizeof header);
    fclose(file);
    printf("casehook %d\n", header[96] << 24 | header[97] << 16 | header[98] << 8 | header[99]);
    free(db);
    return 0;
}

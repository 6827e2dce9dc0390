/* What the test programs share: a check that says where it failed, and texts. */
#ifndef CHECK_H
#define CHECK_H

#include <casehook.h>
#include <casehook.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(condition)                                                          \
    do {                                                                          \
        if (!(condition)) {                                                       \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
            abort();                                                              \
        }                                                                         \
    } while (0)

/* The call succeeds and leaves no error. */
#define OK(call)                                                                                       \
    do {                                                                                               \
        casehook_result result_ = (call);                                                              \
        if (result_ != CASEHOOK_OK) {                                                                  \
            fprintf(stderr, "%s:%d: %s gave %d: %s\n", __FILE__, __LINE__, #call, (int)result_,        \
                    err ? casehook_error_message(err) : "no error");                                   \
            abort();                                                                                   \
        }                                                                                              \
        CHECK(err == NULL);                                                                            \
    } while (0)

/* The call fails with that result and an error of the same code. */
#define FAILS(call, expected)                                                                         \
    do {                                                                                              \
        casehook_result result_ = (call);                                                             \
        if (result_ != (expected)) {                                                                  \
            fprintf(stderr, "%s:%d: %s gave %d: %s\n", __FILE__, __LINE__, #call, (int)result_,       \
                    err ? casehook_error_message(err) : "no error");                                  \
            abort();                                                                                  \
        }                                                                                             \
        CHECK(err != NULL && casehook_error_code(err) == (expected));                                 \
        CHECK(casehook_error_name(err)[0] != '\0' && casehook_error_message(err)[0] != '\0');         \
        casehook_error_free(err);                                                                     \
        err = NULL;                                                                                   \
    } while (0)

/* The call is refused, and the error names this argument. */
#define REFUSES(call, argument)                                                                        \
    do {                                                                                               \
        CHECK((call) == CASEHOOK_ERROR_ARGUMENT);                                                      \
        CHECK(err != NULL && casehook_error_field(err) != NULL);                                       \
        if (strcmp(casehook_error_field(err), argument) != 0) {                                        \
            fprintf(stderr, "%s:%d: the field is %s\n", __FILE__, __LINE__, casehook_error_field(err)); \
            abort();                                                                                   \
        }                                                                                              \
        CHECK(strstr(casehook_error_message(err), argument) != NULL);                                  \
        CHECK(!casehook_error_is_retryable(err));                                                      \
        casehook_error_free(err);                                                                      \
        err = NULL;                                                                                    \
    } while (0)

static inline char *slurp(const char *path)
{
    static char text[64 * 1024];
    FILE *file = fopen(path, "rb");
    CHECK(file != NULL);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    return text;
}

/* DIRECTORY/NAME, to be freed. */
static inline char *in(const char *directory, const char *name)
{
    size_t length = strlen(directory) + strlen(name) + 2;
    char *path = (char *)malloc(length);
    CHECK(path != NULL);
    snprintf(path, length, "%s/%s", directory, name);
    return path;
}

#endif

/* sanitizers heap|overflow|leak: does what each of them must report, so that their silence elsewhere means something. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    if (strcmp(what, "heap") == 0) {
        volatile char *text = malloc((size_t)argc);
        text[argc] = 'x';
        return text[argc];
    }
    if (strcmp(what, "overflow") == 0) {
        volatile int number = INT_MAX;
        number += argc;
        return number == 0;
    }
    if (strcmp(what, "leak") == 0) {
        void *volatile lost = malloc(100);
        lost = NULL;
        return lost != NULL;
    }
    return 0;
}

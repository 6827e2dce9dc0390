// The header as C++ sees it.
#include <casehook.h>
#include <casehook.h>

#include <cstring>
#include <type_traits>

static_assert(sizeof(casehook_result) == 4 && sizeof(casehook_state) == 4, "numbers have 32 bits");
#if CASEHOOK_VERSION_NUM < 0x000100
#error "the number of the version can be compared before anything is compiled"
#endif
static_assert(std::is_standard_layout<casehook_case>::value, "plain data");

int main()
{
    casehook_case c = CASEHOOK_CASE_INIT;
    casehook_error *err = nullptr;
    int64_t id = 0;
    c.title = "t";
    if (c.size != sizeof c || std::strcmp(casehook_version(), CASEHOOK_VERSION) != 0)
        return 1;
    casehook_result result = casehook_push(nullptr, "tracker", &c, &id, &err);
    bool right = result == CASEHOOK_ERROR_ARGUMENT && casehook_error_code(err) == result;
    casehook_error_free(err);
    return right ? 0 : 1;
}

#!/bin/sh
# Puts what was built in the directory $1 to its places: header, shared and static library, pkg-config and CMake files, and the
# bill of materials.
# From the environment: PREFIX (/usr/local), DESTDIR (empty), LIBDIR (PREFIX/lib).
set -eu
built=$1
here=$(cd "$(dirname "$0")" && pwd)
prefix=${PREFIX:-/usr/local}
libdir=${LIBDIR:-$prefix/lib}
destdir=${DESTDIR:-}
version=$(sed -n 's/^#define CASEHOOK_VERSION "\(.*\)"/\1/p' "$here/../../include/casehook.h")
# What rustc --print native-static-libs says.
private="-lgcc_s -lutil -lrt -lpthread -lm -ldl"

for tool in ld objcopy ar strip; do
    command -v $tool >/dev/null || { echo "$tool is missing: apt-get install binutils" >&2; exit 1; }
done
command -v python3 >/dev/null || { echo "python3 is missing (it lists what is built in): apt-get install python3" >&2; exit 1; }
if [ ! -f "$built/libcasehook.so" ]; then
    echo "$built/libcasehook.so is missing (installing works on Linux, after: cargo build -p casehook-c)" >&2
    exit 1
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# One object in which every symbol but the interface's is local: SQLite's would otherwise take the place of the program's.
ld -r --whole-archive "$built/libcasehook.a" -o "$work/whole.o"
objcopy --wildcard --keep-global-symbol='casehook_*' --strip-debug \
    --remove-section=.llvmbc --remove-section=.llvmcmd "$work/whole.o" "$work/casehook.o"
ar rcs "$work/libcasehook.a" "$work/casehook.o"
strip --strip-unneeded -o "$work/libcasehook.so" "$built/libcasehook.so"

python3 "$here/../sbom.py" casehook-c >"$work/casehook.cdx.json"

cat >"$work/casehook.pc" <<END
prefix=$prefix
libdir=$libdir
includedir=\${prefix}/include

Name: casehook
Description: Pushes cases to any case system, from within a program
Version: $version
Libs: -L\${libdir} -lcasehook
Libs.private: $private
Cflags: -I\${includedir}
END

cat >"$work/casehookConfig.cmake" <<END
# casehook::casehook is the shared library, casehook::static the static one.
if(NOT TARGET casehook::casehook)
    get_filename_component(_casehook_lib "\${CMAKE_CURRENT_LIST_DIR}/../.." ABSOLUTE)
    get_filename_component(_casehook_include "\${_casehook_lib}/../include" ABSOLUTE)
    if(NOT EXISTS "\${_casehook_include}/casehook.h")
        set(_casehook_include "$prefix/include")
    endif()
    add_library(casehook::casehook SHARED IMPORTED)
    set_target_properties(casehook::casehook PROPERTIES
        IMPORTED_LOCATION "\${_casehook_lib}/libcasehook.so.$version"
        IMPORTED_SONAME "libcasehook.so.0"
        INTERFACE_INCLUDE_DIRECTORIES "\${_casehook_include}")
    add_library(casehook::static STATIC IMPORTED)
    set_target_properties(casehook::static PROPERTIES
        IMPORTED_LOCATION "\${_casehook_lib}/libcasehook.a"
        INTERFACE_LINK_LIBRARIES "$private"
        INTERFACE_INCLUDE_DIRECTORIES "\${_casehook_include}")
endif()
END

cat >"$work/casehookConfigVersion.cmake" <<END
set(PACKAGE_VERSION "$version")
if(PACKAGE_FIND_VERSION VERSION_GREATER PACKAGE_VERSION)
    set(PACKAGE_VERSION_COMPATIBLE FALSE)
else()
    set(PACKAGE_VERSION_COMPATIBLE TRUE)
    if(PACKAGE_FIND_VERSION VERSION_EQUAL PACKAGE_VERSION)
        set(PACKAGE_VERSION_EXACT TRUE)
    endif()
endif()
END

put() { # MODE FILE PLACE
    mkdir -p "$destdir$(dirname "$3")"
    install -m "$1" "$2" "$destdir$3"
}
put 644 "$here/../../include/casehook.h" "$prefix/include/casehook.h"
put 755 "$work/libcasehook.so" "$libdir/libcasehook.so.$version"
ln -sf "libcasehook.so.$version" "$destdir$libdir/libcasehook.so.0"
ln -sf libcasehook.so.0 "$destdir$libdir/libcasehook.so"
put 644 "$work/libcasehook.a" "$libdir/libcasehook.a"
put 644 "$work/casehook.pc" "$libdir/pkgconfig/casehook.pc"
put 644 "$work/casehookConfig.cmake" "$libdir/cmake/casehook/casehookConfig.cmake"
put 644 "$work/casehookConfigVersion.cmake" "$libdir/cmake/casehook/casehookConfigVersion.cmake"
put 644 "$work/casehook.cdx.json" "$prefix/share/casehook/casehook.cdx.json"

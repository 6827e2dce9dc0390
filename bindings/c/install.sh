#!/bin/sh
# Puts what was built in the directory $1 to its places: header, shared and static library, pkg-config and CMake files, and the
# bill of materials. What follows $1 says with which features it was built, in the words of cargo.
# From the environment: PREFIX (/usr/local), DESTDIR (empty), LIBDIR (PREFIX/lib).
set -eu
built=$1
shift
here=$(cd "$(dirname "$0")" && pwd)
prefix=${PREFIX:-/usr/local}
libdir=${LIBDIR:-$prefix/lib}
destdir=${DESTDIR:-}
for place in "PREFIX=$prefix" "LIBDIR=$libdir"; do
    case ${place#*=} in
    /*) ;;
    *)
        echo "$place is relative, and what is installed holds its place: use an absolute path, such as $PWD/${place#*=}" >&2
        exit 1
        ;;
    esac
done
version=$(sed -n 's/^#define CASEHOOK_VERSION "\(.*\)"/\1/p' "$here/../../include/casehook.h")
system=$(uname -s)
case $system in
Linux)
    # What rustc --print native-static-libs says, but for -lgcc_s: compilers add it where it is wanted, and with -static
    # there is none.
    private="-lutil -lrt -lpthread -lm -ldl"
    built_as=libcasehook.so file=libcasehook.so.$version loaded=libcasehook.so.0 linked=libcasehook.so
    soname=libcasehook.so.0
    tools="ld objcopy ar strip" lacking="apt-get install binutils"
    ;;
Darwin)
    # Written without a Mac at hand: see the README.
    private=""
    built_as=libcasehook.dylib file=libcasehook.$version.dylib loaded=libcasehook.0.dylib linked=libcasehook.dylib
    soname=$libdir/libcasehook.0.dylib
    tools="strip install_name_tool codesign" lacking="xcode-select --install"
    ;;
*)
    echo "installing works on Linux, and as far as can be told on macOS; not on $system" >&2
    exit 1
    ;;
esac

for tool in $tools; do
    command -v "$tool" >/dev/null || { echo "$tool is missing: $lacking" >&2; exit 1; }
done
command -v python3 >/dev/null || { echo "python3 is missing (it lists what is built in): apt-get install python3" >&2; exit 1; }
if [ ! -f "$built/$built_as" ]; then
    echo "$built/$built_as is missing: build it with cargo build -p casehook-c" >&2
    exit 1
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

if [ "$system" = Darwin ]; then
    # Without a static library: nobody has tried yet how SQLite's symbols are hidden in one there.
    strip -x -o "$work/shared" "$built/$built_as"
    install_name_tool -id "$libdir/$loaded" "$work/shared"
    # The changes made the signature void, and a library without one is not loaded.
    codesign --force --sign - "$work/shared"
    static_variable="" static_target=""
else
    # One object in which every symbol but the interface's is local: SQLite's would otherwise take the place of the
    # program's.
    ld -r --whole-archive "$built/libcasehook.a" -o "$work/whole.o"
    objcopy --wildcard --keep-global-symbol='casehook_*' --strip-debug \
        --remove-section=.llvmbc --remove-section=.llvmcmd "$work/whole.o" "$work/casehook.o"
    ar rcs "$work/libcasehook.a" "$work/casehook.o"
    strip --strip-unneeded -o "$work/shared" "$built/$built_as"
    static_variable="static=\${libdir}/libcasehook.a $private"
    static_target="    add_library(casehook::static STATIC IMPORTED)
    set_target_properties(casehook::static PROPERTIES
        IMPORTED_LOCATION \"\${_casehook_lib}/libcasehook.a\"
        INTERFACE_LINK_LIBRARIES \"$private\"
        INTERFACE_INCLUDE_DIRECTORIES \"\${_casehook_include}\")"
fi

python3 "$here/../sbom.py" casehook-c "$@" >"$work/casehook.cdx.json"

# pkg-config reads flags as a shell does.
escaped() {
    printf '%s\n' "$1" | sed 's/[^A-Za-z0-9_./+:,@%=~-]/\\&/g'
}
cat >"$work/casehook.pc" <<END
prefix=$(escaped "$prefix")
libdir=$(escaped "$libdir")
includedir=\${prefix}/include
$static_variable

Name: casehook
Description: Pushes cases to any case system, from within a program
Version: $version
Libs: -L\${libdir} -lcasehook
Libs.private: $private
Cflags: -I\${includedir}
END

include=$(python3 -c 'import os, sys; print(os.path.relpath(*sys.argv[1:]))' "$prefix/include" "$libdir")
cat >"$work/casehookConfig.cmake" <<END
# casehook::casehook is the shared library, casehook::static the static one (where there is one).
if(NOT TARGET casehook::casehook)
    get_filename_component(_casehook_lib "\${CMAKE_CURRENT_LIST_DIR}/../.." ABSOLUTE)
    get_filename_component(_casehook_include "\${_casehook_lib}/$include" ABSOLUTE)
    if(NOT EXISTS "\${_casehook_include}/casehook.h")
        set(_casehook_include "$prefix/include")
    endif()
    add_library(casehook::casehook SHARED IMPORTED)
    set_target_properties(casehook::casehook PROPERTIES
        IMPORTED_LOCATION "\${_casehook_lib}/$file"
        IMPORTED_SONAME "$soname"
        INTERFACE_INCLUDE_DIRECTORIES "\${_casehook_include}")
$static_target
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
put 755 "$work/shared" "$libdir/$file"
ln -sf "$file" "$destdir$libdir/$loaded"
ln -sf "$loaded" "$destdir$libdir/$linked"
[ ! -f "$work/libcasehook.a" ] || put 644 "$work/libcasehook.a" "$libdir/libcasehook.a"
put 644 "$work/casehook.pc" "$libdir/pkgconfig/casehook.pc"
put 644 "$work/casehookConfig.cmake" "$libdir/cmake/casehook/casehookConfig.cmake"
put 644 "$work/casehookConfigVersion.cmake" "$libdir/cmake/casehook/casehookConfigVersion.cmake"
put 644 "$work/casehook.cdx.json" "$prefix/share/casehook/casehook.cdx.json"

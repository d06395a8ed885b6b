// Everything is inline in the header; a target needs one source, and here the compiler checks the header alone.

#include "CLinux.h"

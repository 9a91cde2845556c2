/* The header alone, as C99 sees it. */
#include "pocketrank.h"
typedef int not_empty;

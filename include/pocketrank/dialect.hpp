// What the compiler's options change: exceptions and the span type. Both are part of the name of everything here, so that two
// libraries of one app, built with different options, link without sharing functions that only look the same.
#ifndef POCKETRANK_DIALECT_HPP
#define POCKETRANK_DIALECT_HPP

#if __cplusplus >= 202002L || (defined(_MSVC_LANG) && _MSVC_LANG >= 202002L)
#include <version>
#endif

#if defined(__cpp_exceptions) || defined(__EXCEPTIONS) || defined(_CPPUNWIND)
#define PKR_CPP_EXCEPTIONS 1
#else
#define PKR_CPP_EXCEPTIONS 0
#endif

#if defined(__cpp_lib_span)
#define PKR_CPP_STD_SPAN 1
#else
#define PKR_CPP_STD_SPAN 0
#endif

#if PKR_CPP_EXCEPTIONS && PKR_CPP_STD_SPAN
#define PKR_CPP_DIALECT cpp20_throwing
#elif PKR_CPP_EXCEPTIONS
#define PKR_CPP_DIALECT cpp17_throwing
#elif PKR_CPP_STD_SPAN
#define PKR_CPP_DIALECT cpp20_aborting
#else
#define PKR_CPP_DIALECT cpp17_aborting
#endif

#endif

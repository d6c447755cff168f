// Random primitives for a real libmkldnn.so.0: of every kind, small, mostly valid. What a case is
// follows from its number alone. Numbers of one family, kVariants in a row, differ in one choice:
// what a key that leaves something out would take for the same.
#ifndef OPCACHE_TESTS_FUZZ_REAL_CASES_H_
#define OPCACHE_TESTS_FUZZ_REAL_CASES_H_

#include <stdint.h>

#include <string>

#include "real_session.h"

namespace fuzz {

const uint64_t kVariants = 20;

// Makes and runs the case; what it asked and was told, apart from the session's status and bits.
// Begins with the kind's name.
// `aloud`: tells each thing on stderr before the next, for who looks for what ends the process.
std::string run_case(real_session::Session *session, uint64_t number, bool aloud);

}  // namespace fuzz

#endif  // OPCACHE_TESTS_FUZZ_REAL_CASES_H_

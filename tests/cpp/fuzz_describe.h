// Descriptions for the fake that differ in one field or in none: of each kind there is a plain one,
// and for every field others that differ only there. Shapes need not fit; the fake does not look.
#ifndef OPCACHE_TESTS_FUZZ_DESCRIBE_H_
#define OPCACHE_TESTS_FUZZ_DESCRIBE_H_

#include <mkldnn.h>
#include <stdint.h>

#include "operation.h"

namespace fuzz {

using operation::kForward;
using operation::kPasses;
using operation::OpDesc;
using operation::Pass;

// Which field differs from the plain description and how; field 255 .. 128: none.
struct Variation {
  uint8_t field;
  uint8_t value;
};

// A description of one of the kinds (by number, modulo how many there are).
void describe(int kind, Pass pass, Variation variation, OpDesc *d);
mkldnn_memory_desc_t describe_memory(Variation variation);

}  // namespace fuzz

#endif  // OPCACHE_TESTS_FUZZ_DESCRIBE_H_

// Shadow mode against a real libmkldnn.so.1.
#include "shadow_tests.h"

using namespace real_session;

// The passes that write several outputs.
TEST(passes_with_several_outputs, SHADOW(1)) {
  for (const Operation &op :
       {operation::batch_norm(tensor({2, 16, 4, 4}, formats().nChw8c)),
        operation::pooling(algorithms().pooling_max, tensor({2, 16, 8, 8}, formats().nChw8c),
                           tensor({2, 16, 4, 4}, formats().nChw8c))}) {
    same_bits([&](Session *s) { s->run(op, {operation::kForward, operation::kBackwardData}); });
  }
  CHECK_EQ(found("mismatches"), 0);
  CHECK_EQ(found("executions"), 4);
}

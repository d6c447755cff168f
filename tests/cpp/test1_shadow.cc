// Shadow mode against a real libmkldnn.so.1: silent where the cache is right. That it speaks where
// the cache is wrong, the libraries with a planted fault show.
#include <thread>

#include "real_session.h"

using namespace real_session;

namespace {

void lrn(Session *s, float beta) {
  Operation op =
      operation::lrn(algorithms().lrn_across_channels, tensor({2, 16, 6, 6}, formats().nChw8c));
  op.forward = mkldnn_forward_scoring;
  op.alpha = 1e-1f;
  op.beta = beta;
  s->run(op, {operation::kForward});
}

// Its input is its output.
void relu_in_place(Session *s) {
  const mkldnn_memory_desc_t md = tensor({2, 16, 5, 7}, formats().nchw);
  Operation op = operation::eltwise(algorithms().relu, md, 0.5f);
  op.forward = mkldnn_forward_scoring;
  const Data data = s->new_buffer(mkldnn_memory_desc_get_size(&md), true);
  s->run(s->operation(op), {{MKLDNN_ARG_SRC, data}, {MKLDNN_ARG_DST, data}});
}

double found(const char *field) { return Stats()[std::string("shadow/") + field]; }

}  // namespace

TEST(two_descriptions_of_other_numbers, SHADOW(1)) {
  for (int i = 0; i < 3; ++i) {
    for (const float beta : {0.5f, 0.75f}) {
      same_bits([&](Session *s) { lrn(s, beta); });
    }
  }
  CHECK_EQ(found("mismatches"), 0);
  CHECK_EQ(found("skipped"), 0);
  // Two descriptions, twice in each round; the first is no hit.
  CHECK_EQ(found("executions"), 3 * 2 * 2 - 2);
  CHECK_EQ(found("descriptors"), 3 * 2 * 2 - 2);
}

// The shadow runs first and must leave no trace in data that it shares with the cached primitive.
TEST(input_that_is_the_output, SHADOW(1)) {
  same_bits(relu_in_place);
  CHECK_EQ(found("mismatches"), 0);
  CHECK_EQ(found("executions"), 1);
}

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

TEST(off_by_default) {
  same_bits(relu_in_place);
  for (const char *field : {"rate", "descriptors", "executions", "mismatches", "skipped"}) {
    CHECK_EQ(found(field), 0);
  }
}

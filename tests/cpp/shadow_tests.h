// Tests of shadow mode against a real MKL-DNN, of both interfaces: silent where the cache is right.
// That it speaks where the cache is wrong, the libraries with a planted fault show.
#pragma once

#include <string>

#include "real_session.h"

namespace real_session {

inline double found(const char *field) { return Stats()[std::string("shadow/") + field]; }

// Its input is its output.
inline void relu_in_place(Session *s) {
  const mkldnn_memory_desc_t md = tensor({2, 16, 5, 7}, formats().nchw);
  Operation op = operation::eltwise(algorithms().relu, md, 0.5f);
  op.forward = mkldnn_forward_scoring;
#ifdef API1
  const Data data = s->new_buffer(mkldnn_memory_desc_get_size(&md), true);
  s->run(s->operation(op), {{MKLDNN_ARG_SRC, data}, {MKLDNN_ARG_DST, data}});
#else
  const auto layout = s->memory(md);
  const Data data = s->new_buffer(layout);
  const mkldnn_primitive_t p = s->create(s->operation(op), {{s->memory_object(layout, data), 0}},
                                         {s->memory_object(layout, data)});
  s->submit(p);
  CHECK_OK(s->api().primitive_destroy(p));
  s->add_result(data);
#endif
}

TEST(two_descriptions_that_differ_in_a_number, SHADOW(1)) {
  for (int i = 0; i < 3; ++i) {
    for (const float beta : {0.5f, 0.75f}) {
      same_bits([&](Session *s) {
        Operation op = operation::lrn(algorithms().lrn_across_channels,
                                      tensor({2, 16, 6, 6}, formats().nChw8c));
        op.forward = mkldnn_forward_scoring;
        op.alpha = 1e-1f;
        op.beta = beta;
        s->run(op, {operation::kForward});
      });
    }
  }
  CHECK_EQ(found("mismatches"), 0);
  CHECK_EQ(found("skipped"), 0);
  // Two descriptions, twice in each round; the first is no hit. In 0.x layouts have descriptors
  // too.
  const int hits = 3 * 2 * 2 - 2;
  CHECK_EQ(found("executions"), hits);
  CHECK(found("descriptors") >= hits);
}

// The shadow runs first and must leave no trace in data that it shares with the cached primitive.
TEST(in_place, SHADOW(1)) {
  Session expected(direct()), first(through()), second(through()), third(through());
  relu_in_place(&expected);
  // All alive, so that no two share buffers.
  for (Session *cached : {&first, &second, &third}) {
    relu_in_place(cached);
    CHECK(cached->bits() == expected.bits());
  }
  CHECK_EQ(found("mismatches"), 0);
  CHECK_EQ(found("executions"), 2);
}

TEST(off_by_default) {
  same_bits(relu_in_place);
  for (const char *field : {"rate", "descriptors", "executions", "mismatches", "skipped"}) {
    CHECK_EQ(found(field), 0);
  }
}

}  // namespace real_session

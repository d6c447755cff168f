// Against a real libmkldnn.so.0 of any release: views, data that moves, chains of primitives, and
// what is left when the cache is cleared.
#include "opcache.h"
#include "owned.h"
#include "real_session.h"

using namespace real_session;

// A view's layout differs from its parent's, and from another view's, in an offset only.
TEST(views) {
  std::string expected[2];
  for (int round = 0; round < 6; ++round) {
    const int part = round % 2;
    Session s(round < 2 ? direct() : through());
    const auto parent = s.memory(tensor({2, 16, 5, 5}, formats().nchw));
    mkldnn_primitive_desc_t view = nullptr;
    const int dims[] = {2, 8, 5, 5}, offsets[] = {0, 8 * part, 0, 0};
    CHECK_OK(mkldnn_view_primitive_desc_create(&view, parent, dims, offsets));
    const auto from = s.api().primitive_desc_query_pd(view, mkldnn_query_dst_pd, 0);
    const auto to = s.memory(tensor({2, 8, 5, 5}, formats().nhwc));
    const auto reorder = s.reorder(from, to);
    REQUIRE(from != nullptr && reorder != nullptr);
    const Data whole = s.new_buffer(parent);
    const Data out = s.run(reorder, {{0, whole}})[0];
    if (round < 2) expected[part] = s.bits();
    CHECK(s.bits() == expected[part]);
    CHECK_EQ(memcmp(out->data, static_cast<float *>(whole->data) + 8 * 25 * part, sizeof(float)),
             0);
    CHECK_OK(s.api().primitive_desc_destroy(view));
  }
  CHECK(expected[0] != expected[1]);
  CHECK(Stats()["operators/reorder/primitives_avoided"] >= 2);
}

// Data that moves between submits of one primitive, in eager and lazy streams and in reruns.
TEST(data_that_moves) {
  const mkldnn_memory_desc_t md = tensor({2, some_channels(), 5, 5}, formats().nChw8c);
  const Operation relu = operation::eltwise(algorithms().relu, md);
  std::vector<mkldnn_status_t> statuses;  // of reruns: not every kind of stream can
  same_bits([&](Session *session) {
    Session &s = *session;
    const Api &api = s.api();
    const auto layout = s.memory(md);
    const auto pd = s.operation(relu);
    Data in = s.new_buffer(layout), out = s.new_buffer(layout);
    const mkldnn_primitive_t from = s.memory_object(layout, in), to = s.memory_object(layout, out);
    s.add_result(out);
    mkldnn_primitive_t p = s.create(pd, {{from, 0}}, {to});
    s.own(p);
    const auto move = [&] {
      in = s.new_buffer(layout);
      out = s.new_buffer(layout);
      CHECK_OK(mkldnn_memory_set_data_handle(from, in->data));
      CHECK_OK(mkldnn_memory_set_data_handle(to, out->data));
      s.add_result(out);
    };
    s.submit(p);
    move();
    s.submit(p);
    for (const mkldnn_stream_kind_t kind : {mkldnn_eager, mkldnn_lazy}) {
      mkldnn_stream_t stream = nullptr;
      CHECK_OK(api.stream_create(&stream, kind));
      CHECK_OK(api.stream_submit(stream, 1, &p, nullptr));
      if (kind == mkldnn_lazy) move();
      CHECK_OK(api.stream_wait(stream, 1, nullptr));
      move();
      statuses.push_back(api.stream_rerun(stream, nullptr));
      CHECK_EQ(statuses.back(), statuses[kind == mkldnn_lazy ? 1 : 0]);
      CHECK_OK(api.stream_destroy(stream));
    }
  });
  CHECK(statuses[0] == mkldnn_success || statuses[1] == mkldnn_success);
}

// An output of one primitive is the input of the next, by name.
TEST(chain_of_primitives) {
  const mkldnn_memory_desc_t md = tensor({2, 16, 5, 5}, formats().nchw);
  const Operation relu = operation::eltwise(algorithms().relu, md),
                  tanh = operation::eltwise(algorithms().tanh, md);
  same_bits([&](Session *s) {
    const auto layout = s->memory(md);
    const auto first = s->operation(relu), second = s->operation(tanh);
    const Data in = s->new_buffer(layout), middle = s->new_buffer(layout),
               out = s->new_buffer(layout);
    const mkldnn_primitive_t a = s->create(first, {{s->memory_object(layout, in), 0}},
                                           {s->memory_object(layout, middle)}),
                             b = s->create(second, {{a, 0}}, {s->memory_object(layout, out)});
    s->submit(a);
    s->submit(b);
    CHECK_OK(s->api().primitive_destroy(b));
    CHECK_OK(s->api().primitive_destroy(a));
    s->add_result(middle);
    s->add_result(out);
  });
}

// From v0.18 on a convolution that ends in an activation zeroes its output's padding, which it
// finds by the layout of the output's memory object: by another's of as many bytes, it zeroes none.
TEST(output_is_padded_by_its_memory_object) {
  Operation op = operation::convolution(any({2, 16, 5, 5}), any({5, 16, 3, 3}), any({2, 5, 3, 3}));
  op.forward = mkldnn_forward_inference;
  Attr attr;
  attr.post(PostOps().eltwise(algorithms().logistic));
  const bool pads = Stats().text("mkldnn") == "v0.19";
  std::string expected[2];
  for (int round = 0; round < 6; ++round) {
    const bool own_layout = round % 2 == 0;
    Session s(round < 2 ? direct() : through());
    const auto pd = s.operation(op, operation::kForward, nullptr, attr);
    if (s.status() == mkldnn_unimplemented && !pads) break;
    REQUIRE(pd != nullptr);
    const auto layout = s.api().primitive_desc_query_pd(pd, mkldnn_query_dst_pd, 0);
    mkldnn_memory_desc_t unpadded = *mkldnn_primitive_desc_query_memory_d(layout);
    unpadded.dims[1] = unpadded.layout_desc.blocking.padding_dims[1];
    const auto in = s.api().primitive_desc_query_pd(pd, mkldnn_query_src_pd, 0),
               filter = s.api().primitive_desc_query_pd(pd, mkldnn_query_weights_pd, 0),
               out = own_layout ? layout : s.memory(unpadded);
    const std::vector<mkldnn_primitive_at_t> inputs = {
        {s.memory_object(in, s.new_buffer(in)), 0},
        {s.memory_object(filter, s.new_buffer(filter)), 0}};
    const Data result = s.new_buffer(out);
    const mkldnn_primitive_t p = s.create(pd, inputs, {s.memory_object(out, result)});
    s.submit(p);
    CHECK_OK(s.api().primitive_destroy(p));
    s.add_result(result);
    if (round < 2) expected[round] = s.bits();
    CHECK_TEXT(s.bits() == expected[round % 2], "round " << round);
    if (pads) CHECK((static_cast<float *>(result->data)[7] == 0) == own_layout);
  }
  if (pads) CHECK_EQ(Stats()["bypasses/padded_output"], 4);
}

// Descriptors hold their layouts, and a memory descriptor is a layout of its own.
TEST(nothing_is_left_after_a_clear) {
  const mkldnn_memory_desc_t md = tensor({2, 16, 5, 5}, formats().nchw);
  {
    Session s(through());
    const auto layout = s.memory(md);
    const auto own = s.api().primitive_desc_query_pd(layout, mkldnn_query_output_pd, 0);
    CHECK_EQ(own, layout);
    s.run(operation::eltwise(algorithms().relu, md), {operation::kForward});
  }
  CHECK(Stats()["totals/idle_primitives"] > 0);
  mkldnn_opcache_clear();
  CHECK_EQ(Stats()["totals/idle_primitives"], 0);
  CHECK_EQ(Stats()["totals/descriptors"], 0);
}

// Against a real libmkldnn.so.0 of either release: views, data that moves, chains of primitives,
// and what is left when the cache is cleared.
#include "opcache.h"
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
    const auto reorder = s.keep([&](mkldnn_primitive_desc_t *pd) {
      return s.api().reorder_primitive_desc_create_v2(pd, from, to, nullptr);
    });
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
  CHECK(number(stats(), "operators/reorder/primitives_avoided") >= 2);
}

// Data that moves between submits of one primitive, in eager and lazy streams and in reruns.
TEST(data_that_moves) {
  const mkldnn_memory_desc_t md = tensor({2, some_channels(), 5, 5}, formats().nChw8c);
  mkldnn_eltwise_desc_t relu;
  CHECK_OK(mkldnn_eltwise_forward_desc_init(&relu, mkldnn_forward_training, mkldnn_eltwise_relu,
                                            &md, 0, 0));
  std::string expected;
  std::vector<mkldnn_status_t> statuses;  // of reruns: not every kind of stream can
  for (int round = 0; round < 3; ++round) {
    Session s(round == 0 ? direct() : through());
    const Api &api = s.api();
    const auto layout = s.memory(md);
    const auto pd = s.operation(&relu);
    Data in = s.new_buffer(layout), out = s.new_buffer(layout);
    const mkldnn_primitive_t from = s.memory_object(layout, in), to = s.memory_object(layout, out);
    s.add_result(out);
    const mkldnn_primitive_at_t input = mkldnn_primitive_at(from, 0);
    const_mkldnn_primitive_t output = to;
    mkldnn_primitive_t p = nullptr;
    CHECK_OK(api.primitive_create(&p, pd, &input, &output));
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
      const mkldnn_status_t rerun = api.stream_rerun(stream, nullptr);
      if (round == 0) statuses.push_back(rerun);
      CHECK_EQ(rerun, statuses[kind == mkldnn_lazy ? 1 : 0]);
      CHECK_OK(api.stream_destroy(stream));
    }
    if (round == 0) expected = s.bits();
    CHECK(s.bits() == expected);
  }
  CHECK(statuses[0] == mkldnn_success || statuses[1] == mkldnn_success);
}

// An output of one primitive is the input of the next, by name.
TEST(chain_of_primitives) {
  const mkldnn_memory_desc_t md = tensor({2, 16, 5, 5}, formats().nchw);
  mkldnn_eltwise_desc_t relu, tanh;
  CHECK_OK(mkldnn_eltwise_forward_desc_init(&relu, mkldnn_forward_training, mkldnn_eltwise_relu,
                                            &md, 0, 0));
  CHECK_OK(mkldnn_eltwise_forward_desc_init(&tanh, mkldnn_forward_training, mkldnn_eltwise_tanh,
                                            &md, 0, 0));
  std::string expected;
  for (int round = 0; round < 3; ++round) {
    Session s(round == 0 ? direct() : through());
    const auto layout = s.memory(md);
    const auto first = s.operation(&relu), second = s.operation(&tanh);
    const Data in = s.new_buffer(layout), middle = s.new_buffer(layout), out = s.new_buffer(layout);
    const mkldnn_primitive_at_t input = mkldnn_primitive_at(s.memory_object(layout, in), 0);
    const_mkldnn_primitive_t between = s.memory_object(layout, middle),
                             output = s.memory_object(layout, out);
    mkldnn_primitive_t a = nullptr, b = nullptr;
    CHECK_OK(s.api().primitive_create(&a, first, &input, &between));
    const mkldnn_primitive_at_t of_a = mkldnn_primitive_at(a, 0);
    CHECK_OK(s.api().primitive_create(&b, second, &of_a, &output));
    s.submit(a);
    s.submit(b);
    CHECK_OK(s.api().primitive_destroy(b));
    CHECK_OK(s.api().primitive_destroy(a));
    s.add_result(middle);
    s.add_result(out);
    if (round == 0) expected = s.bits();
    CHECK(s.bits() == expected);
  }
}

// Descriptors hold their layouts, and a memory descriptor is a layout of its own.
TEST(nothing_is_left_after_a_clear) {
  const mkldnn_memory_desc_t md = tensor({2, 16, 5, 5}, formats().nchw);
  mkldnn_eltwise_desc_t relu;
  CHECK_OK(mkldnn_eltwise_forward_desc_init(&relu, mkldnn_forward_training, mkldnn_eltwise_relu,
                                            &md, 0, 0));
  {
    Session s(through());
    const auto layout = s.memory(md);
    const auto own = s.api().primitive_desc_query_pd(layout, mkldnn_query_output_pd, 0);
    CHECK_EQ(own, layout);
    s.run(s.operation(&relu));
  }
  CHECK(number(stats(), "totals/idle_primitives") > 0);
  mkldnn_opcache_clear();
  CHECK_EQ(number(stats(), "totals/idle_primitives"), 0);
  CHECK_EQ(number(stats(), "totals/descriptors"), 0);
}

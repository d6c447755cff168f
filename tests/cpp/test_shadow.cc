// Shadow mode against a real libmkldnn.so.0 of each release.
#include <thread>

#include "opcache.h"
#include "shadow_tests.h"

using namespace real_session;

namespace {

// A reorder over memory objects of its own; the handle is the caller's to destroy.
struct Reorder {
  explicit Reorder(Session *s) {
    const auto from = s->memory(tensor({2, 16, 5, 7}, formats().nchw)),
               to = s->memory(tensor({2, 16, 5, 7}, formats().nhwc));
    out = s->new_buffer(to);
    handle = s->create(s->reorder(from, to), {{s->memory_object(from, s->new_buffer(from)), 0}},
                       {s->memory_object(to, out)});
  }
  Data out;
  mkldnn_primitive_t handle;
};

}  // namespace

TEST(share_of_the_hits, SHADOW(0.25)) {
  for (int i = 0; i < 101; ++i) {
    Session cached(through());
    relu_in_place(&cached);
  }
  const double hits = Stats()["operators/Activation/primitives_avoided"];
  CHECK_EQ(hits, 100);
  CHECK_TEXT(found("executions") > 15 && found("executions") < 35, found("executions"));
  CHECK_EQ(found("mismatches"), 0);
}

TEST(lazy_streams_are_not_compared, SHADOW(1)) {
  for (int i = 0; i < 2; ++i) {
    Session s(through());
    const Reorder r(&s);
    s.submit(r.handle, mkldnn_lazy);
    s.own(r.handle);
  }
  CHECK_EQ(found("executions"), 0);
  CHECK_EQ(found("skipped"), 1);  // of the second round
}

// A hint that is gone leaves its address to another, of another layout, which the backward one
// depends on: descriptions that look alike, but for the content of the hint.
TEST(hint_at_an_address_that_was_used_before, SHADOW(1)) {
  const Api &api = through();
  const auto describe = [&](Pass pass, int format, mkldnn_primitive_desc_t hint) {
    const bool forward = pass == operation::kForward;
    const Operation op = operation::pooling(
        algorithms().pooling_max, forward ? tensor({2, 16, 8, 8}, format) : any({2, 16, 8, 8}),
        tensor({2, 16, 4, 4}, format));
    operation::OpDesc d;
    CHECK_OK(op.describe(pass, &d));
    mkldnn_primitive_desc_t pd = nullptr;
    CHECK_OK(api.primitive_desc_create_v2(&pd, &d, nullptr, engine(), hint));
    return pd;
  };
  std::vector<mkldnn_primitive_desc_t> held;
  std::map<const void *, int> format_at;
  std::mt19937 random(7);
  int reused = 0;  // addresses that had a hint of the other layout
  for (int i = 0; i < 200; ++i) {
    const int format = random() % 2 == 0 ? formats().nChw8c : formats().nchw;
    const mkldnn_primitive_desc_t hint = describe(operation::kForward, format, nullptr);
    const auto before = format_at.emplace(hint, format).first;
    reused += before->second != format;
    held.push_back(describe(operation::kBackwardData, formats().nchw, hint));
    CHECK_OK(api.primitive_desc_destroy(hint));
    mkldnn_opcache_clear();  // of what nobody holds: the hint
  }
  CHECK(reused > 0);  // else nothing was tried
  for (const mkldnn_primitive_desc_t pd : held) CHECK_OK(api.primitive_desc_destroy(pd));
  CHECK_EQ(found("mismatches"), 0);
}

// Refused as by the real library: as a whole, and nothing is executed.
TEST(batches_that_are_refused, SHADOW(1)) {
  for (const Api *api : {&direct(), &through()}) {
    Session s(*api);
    const Reorder r(&s);
    mkldnn_stream_t stream = nullptr;
    CHECK_OK(api->stream_create(&stream, mkldnn_eager));
    const float before = *static_cast<float *>(r.out->data);
    mkldnn_primitive_t half[] = {r.handle, nullptr};
    CHECK_EQ(api->stream_submit(stream, 1, nullptr, nullptr), mkldnn_invalid_arguments);
    CHECK_EQ(api->stream_submit(stream, 2, half, nullptr), mkldnn_invalid_arguments);
    CHECK_EQ(*static_cast<float *>(r.out->data), before);
    CHECK_OK(api->stream_destroy(stream));
    CHECK_OK(api->primitive_destroy(r.handle));
  }
}

// A primitive goes home when another thread lets go of it, and its shadow with it.
TEST(released_on_another_thread, SHADOW(1)) {
  for (int i = 0; i < 3; ++i) {
    Session s(through());
    const Reorder r(&s);
    s.submit(r.handle);
    std::thread([&] { CHECK_OK(s.api().primitive_destroy(r.handle)); }).join();
  }
  CHECK_EQ(found("mismatches"), 0);
  CHECK_EQ(found("executions"), 2);
}

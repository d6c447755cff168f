// Iterators over implementations: known ones come from the cache, the real iterator is made when
// one is not known, and its end is the real one's.
#include "workload.h"

using namespace workload;

#define ASSUME "MKLDNN_OPCACHE_ASSUME=v0.17.4"

namespace {

struct Relu {
  explicit Relu(int n) {
    const mkldnn_memory_desc_t data = image(n);
    CHECK_OK(mkldnn_eltwise_forward_desc_init(&op, mkldnn_forward_training, mkldnn_eltwise_relu,
                                              &data, 0, 0));
  }
  mkldnn_eltwise_desc_t op;
};

// Walks all implementations; the contents of what it fetched.
std::vector<uint64_t> walk(mkldnn_engine_t engine, const Relu &relu,
                           const_mkldnn_primitive_attr_t attr = nullptr) {
  std::vector<uint64_t> contents;
  mkldnn_primitive_desc_iterator_t it = nullptr;
  CHECK_OK(mkldnn_primitive_desc_iterator_create_v2(&it, &relu.op, attr, engine, nullptr));
  mkldnn_status_t status = mkldnn_success;
  while (status == mkldnn_success) {
    const mkldnn_primitive_desc_t pd = mkldnn_primitive_desc_iterator_fetch(it);
    REQUIRE(pd != nullptr);
    contents.push_back(fake_content(pd));
    CHECK_OK(mkldnn_primitive_desc_destroy(pd));
    status = mkldnn_primitive_desc_iterator_next(it);
  }
  CHECK_EQ(status, mkldnn_iterator_ends);
  CHECK(mkldnn_primitive_desc_iterator_fetch(it) == nullptr);
  CHECK_EQ(mkldnn_primitive_desc_iterator_next(it), mkldnn_iterator_ends);
  CHECK(mkldnn_primitive_desc_iterator_fetch(it) == nullptr);
  CHECK_OK(mkldnn_primitive_desc_iterator_destroy(it));
  return contents;
}

}  // namespace

TEST(every_implementation_is_its_own_descriptor, ASSUME) {
  mkldnn_engine_t engine = nullptr;
  CHECK_OK(mkldnn_engine_create(&engine, mkldnn_cpu, 0));
  on_thread([&] {
    const Relu relu(4);
    const std::vector<uint64_t> first = walk(engine, relu);
    CHECK_EQ(first.size(), 3);
    CHECK(first[0] != first[1] && first[1] != first[2] && first[0] != first[2]);
    const long made = fake_created(kFakeDescriptor);
    CHECK(walk(engine, relu) == first);
    CHECK_EQ(fake_created(kFakeDescriptor), made);
    // The first implementation is what a plain creation gives.
    mkldnn_primitive_desc_t pd = nullptr;
    CHECK_OK(mkldnn_primitive_desc_create(&pd, &relu.op, engine, nullptr));
    CHECK_EQ(fake_content(pd), first[0]);
    CHECK_EQ(fake_created(kFakeDescriptor), made);
    CHECK_OK(mkldnn_primitive_desc_destroy(pd));
  });
  CHECK_OK(mkldnn_engine_destroy(engine));
  check_all_gone();
}

TEST(hit_makes_no_real_iterator, ASSUME) {
  on_thread([] {
    Engine engine;
    const Relu relu(4);
    const auto first_of = [&] {
      mkldnn_primitive_desc_iterator_t it = nullptr;
      CHECK_OK(mkldnn_primitive_desc_iterator_create(&it, &relu.op, engine.handle, nullptr));
      const mkldnn_primitive_desc_t pd = mkldnn_primitive_desc_iterator_fetch(it);
      CHECK_OK(mkldnn_primitive_desc_iterator_destroy(it));
      return pd;
    };
    const mkldnn_primitive_desc_t a = first_of();
    CHECK_EQ(fake_created(kFakeIterator), 1);
    const mkldnn_primitive_desc_t b = first_of();
    CHECK_EQ(fake_created(kFakeIterator), 1);
    CHECK_EQ(a, b);
    Bound(engine.handle, a, 0).run(fake_content(a));
    // The implementation behind the known one is not known: now it takes a real iterator.
    CHECK_EQ(walk(engine.handle, relu).size(), 3);
    CHECK_EQ(fake_created(kFakeIterator), 2);
    CHECK_OK(mkldnn_primitive_desc_destroy(a));
    CHECK_OK(mkldnn_primitive_desc_destroy(b));
    CHECK_EQ(fake_live(kFakeIterator), 0);
  });
  check_no_misuse();
}

TEST(fetch_twice_gives_two_handles, ASSUME) {
  on_thread([] {
    Engine engine;
    const Relu relu(4);
    mkldnn_primitive_desc_iterator_t it = nullptr;
    CHECK_OK(mkldnn_primitive_desc_iterator_create(&it, &relu.op, engine.handle, nullptr));
    const mkldnn_primitive_desc_t a = mkldnn_primitive_desc_iterator_fetch(it);
    const mkldnn_primitive_desc_t b = mkldnn_primitive_desc_iterator_fetch(it);
    CHECK_OK(mkldnn_primitive_desc_iterator_next(it));
    CHECK_OK(mkldnn_primitive_desc_iterator_destroy(it));
    // The handles outlive the iterator, each for itself.
    CHECK_OK(mkldnn_primitive_desc_destroy(a));
    CHECK(fake_content(b) != 0);
    CHECK_OK(mkldnn_primitive_desc_destroy(b));
  });
  check_no_misuse();
}

TEST(attributes_are_copied, ASSUME) {
  mkldnn_engine_t engine = nullptr;
  CHECK_OK(mkldnn_engine_create(&engine, mkldnn_cpu, 0));
  on_thread([&] {
    const Relu relu(4);
    const float half = 0.5f, quarter = 0.25f;
    mkldnn_primitive_attr_t attr = nullptr;
    CHECK_OK(mkldnn_primitive_attr_create(&attr));
    CHECK_OK(mkldnn_primitive_attr_set_output_scales(attr, 1, 0, &half));
    const std::vector<uint64_t> expected = walk(engine, relu, attr);
    CHECK(expected != walk(engine, relu));
    const Relu other(5);
    for (const Relu *r : {&relu, &other}) {
      const std::vector<uint64_t> right = walk(engine, *r, attr);
      mkldnn_primitive_desc_iterator_t it = nullptr;
      CHECK_OK(mkldnn_primitive_desc_iterator_create_v2(&it, &r->op, attr, engine, nullptr));
      // From here on the attributes are the caller's to change.
      CHECK_OK(mkldnn_primitive_attr_set_output_scales(attr, 1, 0, &quarter));
      for (size_t i = 0; i < right.size(); ++i) {
        const mkldnn_primitive_desc_t pd = mkldnn_primitive_desc_iterator_fetch(it);
        CHECK_EQ(fake_content(pd), right[i]);
        CHECK_OK(mkldnn_primitive_desc_destroy(pd));
        mkldnn_primitive_desc_iterator_next(it);
      }
      CHECK_OK(mkldnn_primitive_desc_iterator_destroy(it));
      CHECK_OK(mkldnn_primitive_attr_set_output_scales(attr, 1, 0, &half));
    }
    CHECK_OK(mkldnn_primitive_attr_destroy(attr));
  });
  CHECK_OK(mkldnn_engine_destroy(engine));
  check_all_gone();
}

// The same walk when the cache forgets behind it.
TEST(small_capacity, ASSUME, "MKLDNN_OPCACHE_CAPACITY=1") {
  on_thread([] {
    Engine engine;
    const Relu relu(4);
    const std::vector<uint64_t> first = walk(engine.handle, relu);
    for (int round = 0; round < 5; ++round) {
      CHECK(walk(engine.handle, relu) == first);
      call(engine.handle, kPoolingBackward, 4);
    }
  });
  check_no_misuse();
}

TEST(no_implementation, ASSUME) {
  on_thread([] {
    Engine engine;
    const Relu relu(4);
    fake_set_implementations(0);
    mkldnn_primitive_desc_iterator_t it = nullptr;
    for (int round = 0; round < 2; ++round) {
      CHECK_EQ(mkldnn_primitive_desc_iterator_create(&it, &relu.op, engine.handle, nullptr),
               mkldnn_unimplemented);
    }
    CHECK(it == nullptr);
    fake_set_implementations(3);
    CHECK_EQ(walk(engine.handle, relu).size(), 3);
  });
  check_no_misuse();
}

TEST(off_scope_gives_the_real_iterator, ASSUME, "MKLDNN_OPCACHE=off") {
  on_thread([] {
    Engine engine;
    const Relu relu(4);
    const std::vector<uint64_t> first = walk(engine.handle, relu);
    CHECK(walk(engine.handle, relu) == first);
    CHECK_EQ(fake_created(kFakeIterator), 2);
    CHECK_EQ(fake_live(kFakeDescriptor), 0);
  });
  check_no_misuse();
}

// Iterators over implementations: known ones come from the cache, the real iterator is made when
// one is not known, and its end is the real one's.
#include "workload.h"

using namespace workload;

namespace {

operation::OpDesc relu_of(int n) { return op_desc(kReluForward, n); }

// Walks all implementations; the contents of what it fetched.
std::vector<uint64_t> walk(mkldnn_engine_t engine, const operation::OpDesc &d,
                           const_mkldnn_primitive_attr_t attr = nullptr) {
  std::vector<uint64_t> contents;
  const Iterator it(engine, d, attr);
  mkldnn_status_t status = mkldnn_success;
  while (status == mkldnn_success) {
    const Described pd = it.fetch();
    REQUIRE(pd.handle != nullptr);
    contents.push_back(fake_content(pd));
    status = it.next();
  }
  for (int again = 0; again < 2; ++again) {
    CHECK_EQ(status, mkldnn_iterator_ends);
    CHECK(it.fetch().handle == nullptr);
    status = it.next();
  }
  return contents;
}

}  // namespace

CACHED_TEST(every_implementation_is_its_own_descriptor) {
  const operation::OpDesc relu = relu_of(4);
  const std::vector<uint64_t> first = walk(engine, relu);
  CHECK_EQ(first.size(), 3);
  CHECK(first[0] != first[1] && first[1] != first[2] && first[0] != first[2]);
  const long made = fake_created(kFakeDescriptor);
  CHECK(walk(engine, relu) == first);
  CHECK_EQ(fake_created(kFakeDescriptor), made);
  // The first implementation is what a plain creation gives.
  CHECK_EQ(fake_content(Described(engine, relu)), first[0]);
  CHECK_EQ(fake_created(kFakeDescriptor), made);
}

CACHED_TEST(hit_makes_no_real_iterator) {
  const operation::OpDesc relu = relu_of(4);
  const Described a = Iterator(engine, relu).fetch();
  CHECK_EQ(fake_created(kFakeIterator), 1);
  CHECK_EQ(Iterator(engine, relu).fetch(), a);
  CHECK_EQ(fake_created(kFakeIterator), 1);
  Bound(engine, a, 0).run(fake_content(a));
  // The implementation behind the known one is not known: now it takes a real iterator.
  CHECK_EQ(walk(engine, relu).size(), 3);
  CHECK_EQ(fake_created(kFakeIterator), 2);
  CHECK_EQ(fake_live(kFakeIterator), 0);
}

CACHED_TEST(fetch_twice_gives_two_handles) {
  const operation::OpDesc relu = relu_of(4);
  Iterator it(engine, relu);
  Described a = it.fetch();
  const Described b = it.fetch();
  CHECK_OK(it.next());
  it.reset();
  // The handles outlive the iterator, each for itself.
  a.reset();
  CHECK(fake_content(b) != 0);
}

CACHED_TEST(attributes_are_copied) {
  Attr attr;
  CHECK(walk(engine, relu_of(4), attr.scale(0.5f)) != walk(engine, relu_of(4)));
  for (const int n : {4, 5}) {
    const operation::OpDesc relu = relu_of(n);
    const std::vector<uint64_t> right = walk(engine, relu, attr.scale(0.5f));
    const Iterator it(engine, relu, attr);
    // From here on the attributes are the caller's to change.
    attr.scale(0.25f);
    for (const uint64_t content : right) {
      CHECK_EQ(fake_content(it.fetch()), content);
      it.next();
    }
  }
}

// The same walk when the cache forgets behind it.
CACHED_TEST(small_capacity, CAPACITY(1)) {
  const operation::OpDesc relu = relu_of(4);
  const std::vector<uint64_t> first = walk(engine, relu);
  for (int round = 0; round < 5; ++round) {
    CHECK(walk(engine, relu) == first);
    call(engine, kPoolingBackward, 4);
  }
}

CACHED_TEST(no_implementation) {
  const operation::OpDesc relu = relu_of(4);
  fake_set_implementations(0);
  for (int round = 0; round < 2; ++round) {
    Iterator it;
    CHECK_EQ(it.create(engine, relu), mkldnn_unimplemented);
    CHECK(it.handle == nullptr);
  }
  fake_set_implementations(3);
  CHECK_EQ(walk(engine, relu).size(), 3);
}

CACHED_TEST(off_scope_gives_the_real_iterator, SCOPE("off")) {
  const operation::OpDesc relu = relu_of(4);
  const std::vector<uint64_t> first = walk(engine, relu);
  CHECK(walk(engine, relu) == first);
  CHECK_EQ(fake_created(kFakeIterator), 2);
  CHECK_EQ(fake_live(kFakeDescriptor), 0);
}

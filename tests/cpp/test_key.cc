// The identity of an operation. Every byte of every kind of description is flipped in turn, under
// each release's layout: the bytes that mean something must change the key and its printed form,
// all others must change nothing. A release without a table in releases.h is a failure.
#include <string.h>

#include "key_fixture.h"

using namespace key_fixture;

namespace {

// Of a copy that ends where the struct does, so that a sanitizer sees a read beyond it; but where
// the kind was changed, the struct of that kind may be a longer one.
void check_kind(const Release &release, const Real &real, const std::string &kind, Bytes bytes) {
  int number;
  memcpy(&number, bytes.data(), sizeof(number));
  flip_every_byte(&bytes, std::string(release.version) + " " + kind, [&] {
    const bool same_kind = memcmp(bytes.data(), &number, sizeof(number)) == 0;
    std::vector<unsigned char> copy(same_kind ? bytes.size() : 4096);
    memcpy(copy.data(), bytes.data(), bytes.size());
    return identity_of_operation(real, copy.data());
  });
}

}  // namespace

TEST(every_release_of_the_library_has_a_table_here) {
  CHECK_EQ(opcache::kAbiCount, kReleases.size());
}

// An absent memory takes its place in the key: the same memory elsewhere is another description.
RELEASE_TEST(memories_keep_their_places) {
  typedef mkldnn_convolution_desc_t D;
  const Places kPlaces = {AT(src_desc),          AT(diff_src_desc), AT(weights_desc),
                          AT(diff_weights_desc), AT(bias_desc),     AT(diff_bias_desc),
                          AT(dst_desc),          AT(diff_dst_desc)};
  std::vector<Identity> seen;
  for (const Place &place : kPlaces) {
    Bytes bytes = convolution(r, r.convolution);
    bytes.put_absent(kPlaces);
    bytes.put_memories(r, {place});
    seen.push_back(identity_of_operation(real, bytes.data()));
    for (size_t i = 0; i + 1 < seen.size(); ++i) {
      CHECK_TEXT(!(seen[i] == seen.back()), seen.back().text);
    }
  }
}

#define FIELDS_TEST(name, bytes) \
  RELEASE_TEST(name) { check_kind(r, real, #name, bytes); }
FIELDS_TEST(convolution_fields, convolution(r, r.convolution))
FIELDS_TEST(convolution_backward_data_fields, convolution(r, r.convolution, true))
FIELDS_TEST(deconvolution_fields, convolution(r, r.deconvolution))
FIELDS_TEST(inner_product_fields, inner_product(r))
FIELDS_TEST(pooling_fields, pooling(r))
FIELDS_TEST(eltwise_fields, eltwise(r))
FIELDS_TEST(lrn_fields, lrn(r))
FIELDS_TEST(batch_norm_fields, batch_norm(r))
FIELDS_TEST(softmax_fields, softmax(r))

RELEASE_TEST(unknown_formats_and_ranks_are_not_described) {
  Bytes op = eltwise(r);
  const size_t at = offsetof(mkldnn_eltwise_desc_t, data_desc);
  const auto described = [&](size_t member, int value) {
    op.put({at + member, "member"}, value);
    return identity_of_operation(real, op.data()).described;
  };
  const size_t format = offsetof(mkldnn_memory_desc_t, format);
  for (const int wrong : {-1, r.format_last, r.format_last + 1, 1 << 30}) {
    CHECK_TEXT(!described(format, wrong), r.version << " format " << wrong);
  }
  for (const int packed : r.packed) CHECK(!described(format, packed));
  for (int known = 1; known < r.format_last; ++known) {
    bool packed = false;
    for (const int p : r.packed) packed = packed || p == known;
    CHECK_TEXT(described(format, known) != packed, r.version << " format " << known);
  }
  described(format, r.nchw);
  const size_t ndims = offsetof(mkldnn_memory_desc_t, ndims);
  for (const int wrong : {-1, 13, 1 << 30, -(1 << 30)}) CHECK(!described(ndims, wrong));
  for (const int right : {0, 1, 12}) CHECK(described(ndims, right));
}

RELEASE_TEST(unknown_kinds_are_not_described) {
  Bytes op = convolution(r, r.convolution);
  for (int kind = -2; kind < 40; ++kind) {
    op.put({0, "primitive_kind"}, kind);
    const bool known = kind >= r.convolution && kind <= r.inner_product;
    CHECK_TEXT(known || !identity_of_operation(real, op.data()).described,
               r.version << " kind " << kind);
  }
}

TEST(too_much_for_a_key_is_incomplete) {
  const Release &r = kReleases[0];
  const Real real = stub_real(abi_of(r));
  const Descriptor input = memory(plain(r));
  const std::vector<const_mkldnn_primitive_desc_t> inputs(1000, handle(input));
  auto key = std::make_unique<Key>();
  const auto fits = [&](int n) {
    key->clear();
    opcache::visit_concat(*key, real, kContext, nullptr, n, 1, inputs.data(), nullptr);
    CHECK(key->known());
    return key->complete();
  };
  CHECK(fits(40));
  CHECK(!fits(1000));
  CHECK(key->size() <= Key::kCapacity);
  CHECK(fits(40));  // clear() makes it usable again
  int most = 40;
  while (fits(most + 1)) ++most;
  // An incomplete key is not a prefix of anything: a shorter field after one that did not fit must
  // not be appended as if nothing were missing.
  fits(most + 1);
  key->number("one more", 1);
  CHECK(!key->complete());
  key->clear();
  for (uint32_t i = 0; i < Key::kCapacity; ++i) key->number("word", 7);
  CHECK(key->complete());
  CHECK_EQ(key->size(), uint32_t{Key::kCapacity});
  key->number("word", 7);
  CHECK(!key->complete());
  CHECK_EQ(key->size(), uint32_t{Key::kCapacity});
}

TEST(hash_sees_every_word_at_every_length) {
  auto a = std::make_unique<Key>();
  std::vector<uint64_t> zeros;
  for (int length = 0; length < 60; ++length) {
    std::vector<int> words(static_cast<size_t>(length));
    const auto hash = [&] {
      a->clear();
      for (int word : words) a->number("", word);
      return a->hash();
    };
    const uint64_t base = hash();
    for (uint64_t other : zeros) CHECK(other != base);
    zeros.push_back(base);
    for (int &word : words) {
      for (int bit = 0; bit < 32; ++bit) {
        word ^= static_cast<int>(1u << bit);
        CHECK(hash() != base);
        word ^= static_cast<int>(1u << bit);
      }
    }
  }
}

TEST(texts_in_a_row_cannot_be_cut_differently) {
  auto a = std::make_unique<Key>(), b = std::make_unique<Key>();
  a->text("", "ab");
  a->text("", "c");
  b->text("", "a");
  b->text("", "bc");
  CHECK(!a->equals(b->words(), b->size()));
  a->clear();
  b->clear();
  a->text("", "abcd");
  b->text("", "abcde");
  CHECK(!b->equals(a->words(), a->size()));
  b->clear();
  b->assign(a->words(), a->size());
  CHECK(b->equals(a->words(), a->size()));
  CHECK_EQ(a->hash(), b->hash());
}

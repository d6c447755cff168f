// Shared by the tests of the key: descriptions as bytes that know which of them mean something;
// stand-ins for the objects that a visitor reads through the library's functions.
#pragma once

#include <stddef.h>
#include <string.h>

#include <functional>
#include <initializer_list>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "api0/fields.h"
#include "cache/key.h"
#include "check.h"
#include "fake_state.h"
#include "releases.h"

namespace key_fixture {

using opcache::Context;
using opcache::Key;
using opcache::Printer;
using opcache::Real;

// Stand-ins for the objects that a visitor reads through the library's functions: attributes are
// the fake's, with kinds of the release's numbers.
using fake::Attr;
using fake::PostOp;

struct Descriptor {
  int kind = 0;
  int op_query = -1;
  std::vector<unsigned char> op_desc;
  const char *implementation = "jit:avx2";
  Attr attr;
  void *engine = nullptr;
  bool memory = false;
  mkldnn_memory_desc_t md = {};
  const Descriptor *roles[5] = {};  // src, weights, bias, dst, workspace
};

inline const_mkldnn_primitive_attr_t handle(const Attr &a) {
  return reinterpret_cast<const_mkldnn_primitive_attr_t>(&a);
}
inline const_mkldnn_primitive_desc_t handle(const Descriptor &d) {
  return reinterpret_cast<const_mkldnn_primitive_desc_t>(&d);
}

inline const Descriptor *of(const_mkldnn_primitive_desc_t d) {
  return reinterpret_cast<const Descriptor *>(d);
}

inline mkldnn_status_t query(const_mkldnn_primitive_desc_t pd, mkldnn_query_t what, int,
                             void *result) {
  if (what == mkldnn_query_engine) {
    *static_cast<const void **>(result) = of(pd)->engine;
  } else if (what == mkldnn_query_primitive_kind) {
    *static_cast<int *>(result) = of(pd)->kind;
  } else if (what == mkldnn_query_impl_info_str) {
    *static_cast<const char **>(result) = of(pd)->implementation;
  } else if (static_cast<int>(what) == of(pd)->op_query) {
    *static_cast<const void **>(result) = of(pd)->op_desc.data();
  } else {
    return mkldnn_invalid_arguments;
  }
  return mkldnn_success;
}

// A library whose functions read the stand-ins above.
inline Real stub_real(const Abi &abi) {
  Real r = {};
  r.abi = &abi;
  r.primitive_desc_query = query;
  r.primitive_desc_query_memory_d = [](const_mkldnn_primitive_desc_t pd) {
    return of(pd)->memory ? &of(pd)->md : nullptr;
  };
  r.primitive_desc_query_pd = [](const_mkldnn_primitive_desc_t pd, mkldnn_query_t what,
                                 int index) -> const_mkldnn_primitive_desc_t {
    int role = -1;
    if (what == mkldnn_query_src_pd && index == 0) role = 0;
    if (what == mkldnn_query_weights_pd && index < 2) role = 1 + index;
    if (what == mkldnn_query_dst_pd && index == 0) role = 3;
    if (what == mkldnn_query_workspace_pd && index == 0) role = 4;
    return role < 0 || of(pd)->roles[role] == nullptr ? nullptr : handle(*of(pd)->roles[role]);
  };
  r.primitive_desc_get_attr = [](const_mkldnn_primitive_desc_t pd,
                                 const_mkldnn_primitive_attr_t *attr) {
    *attr = handle(of(pd)->attr);
    return mkldnn_success;
  };
#define FAKED(name) r.name = mkldnn_##name
  FAKED(primitive_attr_get_int_output_round_mode);
  FAKED(primitive_attr_get_output_scales);
  FAKED(primitive_attr_get_post_ops);
  FAKED(post_ops_len);
  FAKED(post_ops_get_kind);
  FAKED(post_ops_get_params_sum);
  FAKED(post_ops_get_params_eltwise);
  return r;
}

// The identity of one description; described == false: it is not to be cached.
struct Identity {
  bool described;
  std::vector<uint32_t> words;
  uint64_t hash;
  std::string text;
};

inline bool operator==(const Identity &a, const Identity &b) {
  return a.described == b.described && a.words == b.words;
}

template <class Visit>
Identity identity(const Visit &visit) {
  auto key = std::make_unique<Key>();
  Printer printer;
  Identity id;
  visit(*key);
  visit(printer);
  id.described = key->known();
  CHECK_EQ(printer.known(), id.described);
  CHECK(key->complete());
  id.words.assign(key->words(), key->words() + key->size());
  id.hash = key->hash();
  id.text = printer.c_str();
  return id;
}

// Keys, hashes and texts must tell apart, or not, all in the same way. `what` names the change.
inline void check_same(const Identity &a, const Identity &b, const std::string &what) {
  CHECK_TEXT(a.described && b.described, what);
  CHECK_TEXT(a == b, what << " changed the key\n" << a.text << "\n" << b.text);
  CHECK_TEXT(a.hash == b.hash, what);
  CHECK_TEXT(a.text == b.text, what);
}
inline void check_differs(const Identity &a, const Identity &b, const std::string &what) {
  CHECK_TEXT(a.described, what);
  if (!b.described) return;  // refused: as good as another key
  CHECK_TEXT(!(a == b), what << " did not change the key\n" << a.text);
  CHECK_TEXT(a.hash != b.hash, what << " did not change the hash");
  CHECK_TEXT(a.text != b.text, what << " did not change the text\n" << a.text);
}

// Another value of a field makes another key; the field is then what it was.
template <class T, class U, class Identify>
void check_counts(const std::string &what, T *field, const U &other, const Identify &identify) {
  const Identity base = identify();
  const T before = *field;
  *field = other;
  check_differs(base, identify(), what);
  *field = before;
}

// Where a field is in a description, and its name.
struct Place {
  Place in(const Place &outer) const { return {outer.at + at, outer.name + "." + name}; }
  size_t at;
  std::string name;
};
#define AT(member) \
  key_fixture::Place { offsetof(D, member), #member }
typedef std::vector<Place> Places;

// A description under test: its bytes, and which of them mean something.
class Bytes {
 public:
  // Full of garbage.
  explicit Bytes(size_t size) : bytes_(size), means_(size) {
    std::mt19937 random(static_cast<unsigned>(size));
    for (unsigned char &b : bytes_) b = static_cast<unsigned char>(random());
  }
  const void *data() const { return bytes_.data(); }
  size_t size() const { return bytes_.size(); }
  unsigned char &operator[](size_t i) { return bytes_[i]; }
  bool means(size_t i) const { return !means_[i].empty(); }
  const std::string &name(size_t i) const { return means_[i]; }

  template <class T>
  void put(const Place &place, const T &value) {
    memcpy(&bytes_[place.at], &value, sizeof(value));
    for (size_t i = 0; i < sizeof(value); ++i) means_[place.at + i] = place.name;
  }
  template <class T>
  void put_all(const Place &place, std::initializer_list<T> values) {
    size_t i = 0;
    for (const T &value : values) {
      put({place.at + i * sizeof(T), place.name + "[" + std::to_string(i) + "]"}, value);
      ++i;
    }
  }
  void put_ints(std::initializer_list<std::pair<Place, int>> values) {
    for (const auto &value : values) put(value.first, value.second);
  }
  // Memory descriptors of four dimensions, or absent, or of format any, or a convolution's own.
  void put_memories(const Release &r, const Places &places) {
    typedef mkldnn_memory_desc_t D;
    for (const Place &place : places) {
      put_memory_head(place, r.nchw);
      const auto in_blocking = [&](const Place &member) {
        return member.in(AT(layout_desc).in(place));
      };
      typedef mkldnn_blocking_desc_t D;
      put_all<int>(in_blocking(AT(block_dims)), {1, 8, 1, 1});
      put_all<ptrdiff_t>(in_blocking(AT(strides)), {640, 320, 40, 8});
      put_all<ptrdiff_t>(in_blocking(AT(strides[1])), {1, 1, 1, 1});
      put_all<int>(in_blocking(AT(padding_dims)), {2, 16, 4, 5});
      put_all<int>(in_blocking(AT(offset_padding_to_data)), {0, 0, 0, 0});
      put(in_blocking(AT(offset_padding)), ptrdiff_t(0));
    }
  }
  void put_absent(const Places &places) {
    typedef mkldnn_memory_desc_t D;
    for (const Place &place : places) put(AT(ndims).in(place), 0);
  }
  void put_any(const Place &place) { put_memory_head(place, 1); }
  void put_wino(const Place &place, const Release &r) {
    typedef mkldnn_memory_desc_t D;
    put_memory_head(place, r.wino);
    for (size_t i = 0; i < r.wino_bytes; i += sizeof(int)) {
      put({place.at + offsetof(D, layout_desc) + i, place.name + ".wino+" + std::to_string(i)},
          static_cast<int>(i + 1));
    }
  }
  // Strides and dilates or kernel in two dimensions, and the padding on both sides.
  void put_window(const Place &strides, const Place &second, const Place &padding) {
    put_all<int>(strides, {1, 2});
    put_all<int>(second, {3, 3});
    put_all<int>(padding, {1, 1});
    put_all<int>({padding.at + sizeof(mkldnn_dims_t), padding.name + "_r"}, {0, 1});
  }

 private:
  void put_memory_head(const Place &place, int format) {
    typedef mkldnn_memory_desc_t D;
    put_ints(
        {{AT(ndims).in(place), 4}, {AT(data_type).in(place), 1}, {AT(format).in(place), format}});
    put_all<int>(AT(dims).in(place), {2, 16, 4, 5});
  }

  std::vector<unsigned char> bytes_;
  std::vector<std::string> means_;
};

// Flips every byte of `bytes` in several ways and compares the identities that `identify` sees.
inline void flip_every_byte(Bytes *bytes, const std::string &kind,
                            const std::function<Identity()> &identify) {
  const Identity base = identify();
  REQUIRE(base.described);
  int meaningful = 0;
  for (size_t i = 0; i < bytes->size(); ++i) {
    meaningful += bytes->means(i);
    for (const unsigned char mask : {0x01, 0x80, 0xff}) {
      const std::string what = kind + " byte " + std::to_string(i) + " (" +
                               (bytes->means(i) ? bytes->name(i) : "unused") + ") ^ " +
                               std::to_string(mask);
      (*bytes)[i] ^= mask;
      if (bytes->means(i)) {
        check_differs(base, identify(), what);
      } else {
        check_same(base, identify(), what);
      }
      (*bytes)[i] ^= mask;
    }
  }
  CHECK(meaningful > 0);
  // All that is unused at once.
  std::mt19937 random(3);
  for (int round = 0; round < 20; ++round) {
    for (size_t i = 0; i < bytes->size(); ++i) {
      if (!bytes->means(i)) (*bytes)[i] = static_cast<unsigned char>(random());
    }
    check_same(base, identify(), kind + " with other garbage");
  }
}

inline mkldnn_engine_t engine(uintptr_t address) {
  return reinterpret_cast<mkldnn_engine_t>(address);
}
const Context kContext = {engine(0x1000), 4, false};

inline Identity identity_of_operation(const Real &real, const void *op_desc) {
  return identity([&](auto &v) {
    return opcache::visit_operation(v, real, kContext, op_desc, nullptr, nullptr, 0, 0);
  });
}

// A test of each release `r`; `real`: a library of it that reads the stand-ins.
#define RELEASE_TEST(name)                                                      \
  static void release_##name(const Release &r, const Real &real);               \
  TEST(name) {                                                                  \
    for (const Release &r : kReleases) release_##name(r, stub_real(abi_of(r))); \
  }                                                                             \
  static void release_##name([[maybe_unused]] const Release &r, [[maybe_unused]] const Real &real)

// Descriptions in which every part that can be present is.
inline Bytes convolution(const Release &r, int kind, bool backward_data = false) {
  typedef mkldnn_convolution_desc_t D;
  static_assert(sizeof(D) == 3480, "of every release");
  Bytes b(sizeof(D));
  b.put_ints({{AT(primitive_kind), kind},
              {AT(prop_kind), backward_data ? 160 : 64},
              {AT(alg_kind), 1},
              {AT(padding_kind), 0},
              {AT(accum_data_type), 1}});
  b.put_memories(r, {backward_data ? AT(diff_src_desc) : AT(src_desc), AT(weights_desc),
                     AT(dst_desc), AT(diff_dst_desc)});
  b.put_absent({backward_data ? AT(src_desc) : AT(diff_src_desc), AT(diff_weights_desc),
                AT(diff_bias_desc)});
  b.put_any(AT(bias_desc));
  b.put_window(AT(strides), AT(dilates), AT(padding));
  return b;
}
inline Bytes inner_product(const Release &r) {
  typedef mkldnn_inner_product_desc_t D;
  static_assert(sizeof(D) == 3280, "of every release");
  Bytes b(sizeof(D));
  b.put_ints(
      {{AT(primitive_kind), r.inner_product}, {AT(prop_kind), 192}, {AT(accum_data_type), 1}});
  b.put_memories(r, {AT(src_desc), AT(diff_src_desc), AT(weights_desc), AT(bias_desc),
                     AT(diff_bias_desc), AT(dst_desc), AT(diff_dst_desc)});
  b.put_wino(AT(diff_weights_desc), r);
  return b;
}
inline Bytes pooling(const Release &r) {
  typedef mkldnn_pooling_desc_t D;
  static_assert(sizeof(D) == 1848, "of every release");
  Bytes b(sizeof(D));
  b.put_ints({{AT(primitive_kind), r.pooling},
              {AT(prop_kind), 160},
              {AT(alg_kind), 34},
              {AT(padding_kind), 0},
              {AT(accum_data_type), 1}});
  b.put_memories(r, {AT(diff_src_desc), AT(diff_dst_desc)});
  b.put_absent({AT(src_desc), AT(dst_desc)});
  b.put_window(AT(strides), AT(kernel), AT(padding));
  return b;
}
inline Bytes lrn(const Release &r) {
  typedef mkldnn_lrn_desc_t D;
  static_assert(sizeof(D) == 848, "of every release");
  Bytes b(sizeof(D));
  b.put_ints(
      {{AT(primitive_kind), r.lrn}, {AT(prop_kind), 160}, {AT(alg_kind), 65}, {AT(local_size), 5}});
  b.put_memories(r, {AT(data_desc), AT(diff_data_desc)});
  b.put(AT(lrn_alpha), 1e-4f);
  b.put(AT(lrn_beta), 0.75f);
  b.put(AT(lrn_k), 1.0f);
  return b;
}
inline Bytes batch_norm(const Release &r) {
  typedef mkldnn_batch_normalization_desc_t D;
  static_assert(sizeof(D) == 2464, "of every release");
  Bytes b(sizeof(D));
  b.put_ints({{AT(primitive_kind), r.batch_norm}, {AT(prop_kind), 128}, {AT(flags), 2}});
  b.put_memories(r, {AT(data_desc), AT(diff_data_desc), AT(data_scaleshift_desc),
                     AT(diff_data_scaleshift_desc), AT(mean_desc), AT(variance_desc)});
  b.put(AT(batch_norm_epsilon), 1e-3f);
  return b;
}
// Of these the struct of each release has its own size; beyond it nothing may even be read.
inline Bytes eltwise(const Release &r) {
  typedef mkldnn_eltwise_desc_t D;
  Bytes b(r.eltwise_bytes);
  b.put_ints({{AT(primitive_kind), r.eltwise}, {AT(prop_kind), 160}, {AT(alg_kind), 8}});
  b.put_memories(r, {AT(data_desc), AT(diff_data_desc)});
  b.put(AT(alpha), 0.25f);
  b.put(AT(beta), 0.0f);
  if (r.eltwise_bytes == sizeof(D)) b.put(AT(negative_slope), 0.25f);
  return b;
}
inline Bytes softmax(const Release &r) {
  typedef mkldnn_softmax_desc_t D;
  Bytes b(r.softmax_bytes);
  b.put_ints({{AT(primitive_kind), r.softmax}, {AT(prop_kind), 64}, {{r.softmax_axis, "axis"}, 1}});
  b.put_memories(r, {AT(data_desc)});
  if (r.softmax_diff) b.put_memories(r, {AT(diff_desc)});
  return b;
}

// A memory's description, and a descriptor of it.
inline Bytes plain(const Release &r) {
  Bytes b(sizeof(mkldnn_memory_desc_t));
  b.put_memories(r, {{0, "memory"}});
  return b;
}
inline Descriptor memory(const Bytes &bytes, void *on = nullptr) {
  Descriptor d;
  d.memory = true;
  d.engine = on;
  CHECK_EQ(bytes.size(), sizeof(d.md));
  memcpy(&d.md, bytes.data(), sizeof(d.md));
  return d;
}

}  // namespace key_fixture

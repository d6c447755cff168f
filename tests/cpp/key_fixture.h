// Shared by the tests of the key: each release's numbers, written from its headers and not from the
// library; descriptions as bytes that know which of them mean something; stand-ins for the objects
// that a visitor reads through the library's functions.
#pragma once

#include <stddef.h>
#include <string.h>

#include <functional>
#include <initializer_list>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "api0/fields.h"
#include "cache/key.h"
#include "check.h"
#include "fake_state.h"

namespace key_fixture {

using opcache::Abi;
using opcache::Context;
using opcache::Key;
using opcache::Printer;
using opcache::Real;

// A release's numbers, from its mkldnn_types.h.
struct Release {
  const char *version;
  int convolution, deconvolution, eltwise, softmax, pooling, lrn, batch_norm, inner_product, sum;
  int nchw, wino, format_last;
  std::vector<int> packed, rnn_data;
  size_t wino_bytes;  // of mkldnn_wino_desc_t
  size_t eltwise_bytes, softmax_bytes, softmax_axis;
  bool softmax_diff;
  int convolution_query;
};

extern const std::vector<Release> kReleases;
const Abi &abi_of(const Release &release);

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

const_mkldnn_primitive_attr_t handle(const Attr &attr);
const_mkldnn_primitive_desc_t handle(const Descriptor &descriptor);

// A library whose functions read the stand-ins above.
Real stub_real(const Abi &abi);

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
  id.text = printer.str();
  return id;
}

// Keys, hashes and texts must tell apart, or not, all in the same way. `what` names the change.
void check_same(const Identity &a, const Identity &b, const std::string &what);
void check_differs(const Identity &a, const Identity &b, const std::string &what);

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
  explicit Bytes(size_t size);  // full of garbage
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
  void put_memories(const Release &r, const Places &places);
  void put_absent(const Places &places);
  void put_any(const Place &place) { put_memory_head(place, 1); }
  void put_wino(const Place &place, const Release &r);
  // Strides and dilates or kernel in two dimensions, and the padding on both sides.
  void put_window(const Place &strides, const Place &second, const Place &padding);

 private:
  void put_memory_head(const Place &place, int format);
  std::vector<unsigned char> bytes_;
  std::vector<std::string> means_;
};

// Flips every byte of `bytes` in several ways and compares the identities that `identify` sees.
void flip_every_byte(Bytes *bytes, const std::string &kind,
                     const std::function<Identity()> &identify);

inline mkldnn_engine_t engine(uintptr_t address) {
  return reinterpret_cast<mkldnn_engine_t>(address);
}
const Context kContext = {engine(0x1000), 4};

Identity identity_of_operation(const Abi &abi, const void *op_desc);

// Descriptions in which every part that can be present is.
Bytes convolution(const Release &r, int kind, bool backward_data = false);
Bytes inner_product(const Release &r);
Bytes pooling(const Release &r);
Bytes lrn(const Release &r);
Bytes batch_norm(const Release &r);
// Of these the struct of each release has its own size; beyond it nothing may even be read.
Bytes eltwise(const Release &r);
Bytes softmax(const Release &r);

// A memory's description, and a descriptor of it.
Bytes plain(const Release &r);
Descriptor memory(const Bytes &bytes, void *engine = nullptr);

}  // namespace key_fixture

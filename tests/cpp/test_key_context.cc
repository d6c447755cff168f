// The identity of what surrounds an operation (hint, engine, threads, attributes), and of those
// that have no description of their own: memory, reorder, sum, concat.
#include <utility>

#include "key_fixture.h"

using namespace key_fixture;

// A hint that is not canonical is told by its content; one that is, by its id.
RELEASE_TEST(hint_fields) {
  const Bytes op = convolution(r, r.convolution, true);
  Bytes hint_op = convolution(r, r.convolution);
  Bytes layout = plain(r);
  Descriptor hint;
  hint.kind = r.convolution;
  hint.op_query = r.convolution_query;
  uint64_t id = 0;
  const_mkldnn_primitive_desc_t hint_handle = handle(hint);
  const auto identify = [&] {
    hint.op_desc.assign(static_cast<const unsigned char *>(hint_op.data()),
                        static_cast<const unsigned char *>(hint_op.data()) + hint_op.size());
    return identity([&](auto &v) {
      return opcache::visit_operation(v, real, kContext, op.data(), nullptr, hint_handle, id, 0);
    });
  };
  flip_every_byte(&hint_op, std::string(r.version) + " hint", identify);

  int another = 0;
  check_counts("hint's implementation", &hint.implementation, "jit:avx512", identify);
  check_counts("hint's attributes", &hint.attr.mask, 2, identify);
  check_counts("hint's engine", &hint.engine, &another, identify);
  const Identity base = identify();
  Descriptor role = memory(layout);
  std::vector<Identity> seen = {base};
  for (const Descriptor *&at : hint.roles) {
    at = &role;
    for (const Identity &other : seen) check_differs(other, identify(), "hint's layout");
    seen.push_back(identify());
    flip_every_byte(&layout, std::string(r.version) + " hint's layout", [&] {
      role = memory(layout);
      return identify();
    });
    at = nullptr;
  }
  hint_handle = nullptr;
  check_differs(base, identify(), "no hint");
  const Identity none = identify();
  hint_handle = handle(hint);
  id = 1;
  const Identity one = identify();
  check_differs(base, one, "canonical hint");
  check_differs(none, one, "canonical hint");
  id = uint64_t(1) << 32;
  check_differs(one, identify(), "another canonical hint");
  // The content behind a id is not looked at again.
  id = 1;
  hint.implementation = "other";
  check_same(one, identify(), "content of a canonical hint");
  // Not something we can describe: do not cache.
  id = 0;
  hint.kind = 16 + r.convolution;
  CHECK(!identify().described);
}

RELEASE_TEST(context) {
  const Bytes op = eltwise(r);
  const auto identify = [&](const Context &context, int implementation) {
    return identity([&](auto &v) {
      return opcache::visit_operation(v, real, context, op.data(), nullptr, nullptr, 0,
                                      implementation);
    });
  };
  const Identity base = identify(kContext, 0);
  check_same(base, identify(kContext, 0), "nothing");
  for (int bit = 0; bit < 64; ++bit) {
    const Context other = {engine(0x1000 ^ uintptr_t(1) << bit), 4, false};
    check_differs(base, identify(other, 0), "engine");
  }
  check_differs(base, identify({engine(0x1000), 5, false}, 0), "OpenMP threads");
  check_differs(base, identify({engine(0x1000), 4, true}, 0), "parallel region");
  check_differs(base, identify(kContext, 1), "implementation");
  // One of them does not make up for the other.
  CHECK(!(identify({engine(0x1000), 5, false}, 0) == identify(kContext, 5)));
}

static PostOp post_op(int kind, float scale, int alg = 0, float alpha = 0, float beta = 0) {
  return {static_cast<mkldnn_primitive_kind_t>(kind), scale, static_cast<mkldnn_alg_kind_t>(alg),
          alpha, beta};
}

RELEASE_TEST(attributes) {
  const Bytes op = convolution(r, r.convolution);
  const auto identify = [&](const Attr *attr) {
    return identity([&](auto &v) {
      return opcache::visit_operation(v, real, kContext, op.data(),
                                      attr != nullptr ? handle(*attr) : nullptr, nullptr, 0, 0);
    });
  };
  std::vector<std::pair<std::string, Identity>> all = {{"none", identify(nullptr)}};
  Attr attr;
  attr.mode = mkldnn_round_down;
  all.emplace_back("round mode", identify(&attr));
  const struct {
    const char *name;
    int mask;
    std::vector<float> scales;
  } kScales[] = {{"default", 0, {1.0f}},
                 {"mask", 2, {1.0f}},
                 {"two scales", 2, {1.0f, 1.0f}},
                 {"first scale", 2, {0.5f, 1.0f}},
                 {"second scale", 2, {1.0f, 0.5f}},
                 {"negative scale", 0, {-1.0f}},
                 {"zero", 0, {0.0f}},
                 {"negative zero", 0, {-0.0f}},
                 {"no scale", 0, {}}};
  for (const auto &row : kScales) {
    attr = Attr();
    attr.mask = row.mask;
    attr.scales = row.scales;
    all.emplace_back(row.name, identify(&attr));
  }
  attr = Attr();
  const PostOp sum = post_op(r.sum, 1.0f), eltwise = post_op(r.eltwise, 1.0f, 8, 0.5f, 0.25f);
  const std::pair<const char *, std::vector<PostOp>> kPostOps[] = {
      {"sum", {sum}},
      {"sum's scale", {post_op(r.sum, 2.0f)}},
      {"two sums", {post_op(r.sum, 2.0f), post_op(r.sum, 2.0f)}},
      {"eltwise", {eltwise}},
      {"eltwise's scale", {post_op(r.eltwise, 2.0f, 8, 0.5f, 0.25f)}},
      {"eltwise's algorithm", {post_op(r.eltwise, 1.0f, 9, 0.5f, 0.25f)}},
      {"eltwise's alpha", {post_op(r.eltwise, 1.0f, 8, 0.75f, 0.25f)}},
      {"eltwise's beta", {post_op(r.eltwise, 1.0f, 8, 0.5f, 0.75f)}},
      {"eltwise with the numbers of a sum", {post_op(r.eltwise, 1.0f)}},
      {"sum, eltwise", {sum, eltwise}},
      {"eltwise, sum", {eltwise, sum}}};
  for (const auto &row : kPostOps) {
    attr.post_ops.ops = row.second;
    all.emplace_back(row.first, identify(&attr));
  }
  for (size_t i = 0; i < all.size(); ++i) {
    CHECK_TEXT(all[i].second.described, all[i].first);
    for (size_t j = 0; j < i; ++j) {
      check_differs(all[i].second, all[j].second, all[i].first + " against " + all[j].first);
    }
  }
  attr.post_ops.ops = {post_op(r.convolution, 1.0f)};
  CHECK(!identify(&attr).described);
}

namespace {

// Memory descriptors that are canonical are told by their ids, others by their content.
uint64_t g_serial;

template <class Identify>
void check_ids(const Identify &identify, opcache::IdOf *ids) {
  const Identity by_content = identify();
  *ids = [](const_mkldnn_primitive_desc_t) { return g_serial; };
  g_serial = 0;
  check_same(by_content, identify(), "no canonical memory");
  g_serial = 1;
  const Identity one = identify();
  check_differs(by_content, one, "canonical memory");
  g_serial = uint64_t(1) << 32;
  check_differs(one, identify(), "other canonical memory");
  *ids = nullptr;
}

}  // namespace

RELEASE_TEST(memory_fields) {
  Bytes bytes = plain(r);
  mkldnn_engine_t on = engine(0x1000);
  const auto identify = [&] {
    return identity([&](auto &v) {
      return opcache::visit_memory_object(v, real, on,
                                          *static_cast<const mkldnn_memory_desc_t *>(bytes.data()));
    });
  };
  flip_every_byte(&bytes, std::string(r.version) + " memory", identify);
  check_counts("engine", &on, engine(0x2000), identify);
}

RELEASE_TEST(reorder_fields) {
  Bytes from = plain(r), to = plain(r);
  Attr attr;
  const Attr *given = nullptr;
  opcache::IdOf ids = nullptr;
  int here = 0, there = 0;
  void *output_engine = &here;
  const auto identify = [&] {
    const Descriptor input = memory(from, &here), output = memory(to, output_engine);
    return identity([&](auto &v) {
      return opcache::visit_reorder(v, real, kContext, handle(input), handle(output),
                                    given != nullptr ? handle(*given) : nullptr, ids);
    });
  };
  flip_every_byte(&from, std::string(r.version) + " reorder from", identify);
  flip_every_byte(&to, std::string(r.version) + " reorder to", identify);
  check_counts("output engine", &output_engine, &there, identify);
  const Identity base = identify();
  given = &attr;
  check_differs(base, identify(), "attributes given");
  const Identity with = identify();
  attr.scales[0] = 0.5f;
  check_differs(with, identify(), "scale");
  check_ids(identify, &ids);
}

// The attributes of these say more than any function returns.
RELEASE_TEST(reorder_of_rnn_data_with_attributes_is_not_described) {
  const Attr attr;
  const auto described = [&](int format, const_mkldnn_primitive_attr_t given) {
    Bytes bytes = plain(r);
    bytes.put({offsetof(mkldnn_memory_desc_t, format), "format"}, format);
    const Descriptor m = memory(bytes);
    return identity([&](auto &v) {
             return opcache::visit_reorder(v, real, kContext, handle(m), handle(m), given, nullptr);
           })
        .described;
  };
  CHECK(described(r.nchw, handle(attr)));
  for (const int format : r.rnn_data) {
    CHECK(described(format, nullptr));
    CHECK(!described(format, handle(attr)));
  }
}

RELEASE_TEST(sum_and_concat_fields) {
  Bytes first = plain(r), second = plain(r), output = plain(r);
  std::vector<float> scales = {1.0f, 2.0f};
  const mkldnn_memory_desc_t *given = nullptr;
  int n = 2, dimension = 1;
  bool missing = false, concat = false;
  opcache::IdOf ids = nullptr;
  const auto identify = [&] {
    const Descriptor a = memory(first), b = memory(second);
    const const_mkldnn_primitive_desc_t inputs[] = {handle(a), missing ? nullptr : handle(b)};
    const mkldnn_memory_desc_t *out =
        given == nullptr ? nullptr : static_cast<const mkldnn_memory_desc_t *>(output.data());
    return identity([&](auto &v) {
      return concat ? opcache::visit_concat(v, real, kContext, out, n, dimension, inputs, ids)
                    : opcache::visit_sum(v, real, kContext, out, n, scales.data(), inputs, ids);
    });
  };
  for (const bool kind : {false, true}) {
    concat = kind;
    const std::string name = std::string(r.version) + (concat ? " concat" : " sum");
    flip_every_byte(&first, name + " first", identify);
    flip_every_byte(&second, name + " second", identify);
    const Identity base = identify();
    given = static_cast<const mkldnn_memory_desc_t *>(output.data());
    check_differs(base, identify(), name + " output given");
    flip_every_byte(&output, name + " output", identify);
    given = nullptr;
    check_counts(name + " n", &n, 1, identify);
    missing = true;
    CHECK(!identify().described);
    missing = false;
    check_ids(identify, &ids);
  }
  concat = false;
  const Identity sum = identify();
  for (float &scale : scales) check_counts("scale", &scale, scale + 1.0f, identify);
  concat = true;
  check_differs(sum, identify(), "concat instead of sum");
  check_counts("dimension", &dimension, 2, identify);
}

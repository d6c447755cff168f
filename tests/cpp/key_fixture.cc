#include "key_fixture.h"

#include <random>

namespace key_fixture {

namespace {

const Attr *of(const_mkldnn_primitive_attr_t a) { return reinterpret_cast<const Attr *>(a); }
const Attr *of(const_mkldnn_post_ops_t a) { return reinterpret_cast<const Attr *>(a); }
const Descriptor *of(const_mkldnn_primitive_desc_t d) {
  return reinterpret_cast<const Descriptor *>(d);
}

mkldnn_status_t query(const_mkldnn_primitive_desc_t pd, mkldnn_query_t what, int, void *result) {
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

}  // namespace

const std::vector<Release> kReleases = {
    {"v0.14", 7,  8,        9,  10, 11,  12,  13,  14,    6, 5,
     66,      67, {62, 64}, {}, 40, 848, 424, 416, false, 66},
    {"v0.17.4", 8,   9,          10, 11, 12,  13,  14,  15,   7, 7,
     109,       112, {110, 111}, {}, 48, 848, 832, 824, true, 67},
    {"v0.19", 8,   9,     10,       11, 12,  13,  14,  15,   7, 7,
     143,     145, {144}, {28, 29}, 48, 840, 832, 824, true, 67},
};

const Abi &abi_of(const Release &release) {
  for (const Abi &abi : opcache::kAbis) {
    if (strcmp(abi.version, release.version) == 0) return abi;
  }
  check::fail(__FILE__, __LINE__, std::string(release.version) + " is not in the library's table");
  check::give_up();
}

const_mkldnn_primitive_attr_t handle(const Attr &a) {
  return reinterpret_cast<const_mkldnn_primitive_attr_t>(&a);
}

const_mkldnn_primitive_desc_t handle(const Descriptor &d) {
  return reinterpret_cast<const_mkldnn_primitive_desc_t>(&d);
}

Real stub_real(const Abi &abi) {
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
  r.primitive_attr_get_int_output_round_mode = [](const_mkldnn_primitive_attr_t a,
                                                  mkldnn_round_mode_t *mode) {
    *mode = static_cast<mkldnn_round_mode_t>(of(a)->round_mode);
    return mkldnn_success;
  };
  r.primitive_attr_get_output_scales = [](const_mkldnn_primitive_attr_t a, int *count, int *mask,
                                          const float **scales) {
    *count = static_cast<int>(of(a)->scales.size());
    *mask = of(a)->mask;
    *scales = of(a)->scales.data();
    return mkldnn_success;
  };
  r.primitive_attr_get_post_ops = [](const_mkldnn_primitive_attr_t a,
                                     const_mkldnn_post_ops_t *post_ops) {
    *post_ops = reinterpret_cast<const_mkldnn_post_ops_t>(a);
    return mkldnn_success;
  };
  r.post_ops_len = [](const_mkldnn_post_ops_t a) {
    return static_cast<int>(of(a)->post_ops.size());
  };
  r.post_ops_get_kind = [](const_mkldnn_post_ops_t a, int i) {
    return static_cast<mkldnn_primitive_kind_t>(of(a)->post_ops[static_cast<size_t>(i)].kind);
  };
  r.post_ops_get_params_sum = [](const_mkldnn_post_ops_t a, int i, float *scale) {
    *scale = of(a)->post_ops[static_cast<size_t>(i)].scale;
    return mkldnn_success;
  };
  r.post_ops_get_params_eltwise = [](const_mkldnn_post_ops_t a, int i, float *scale,
                                     mkldnn_alg_kind_t *alg, float *alpha, float *beta) {
    const PostOp &op = of(a)->post_ops[static_cast<size_t>(i)];
    *scale = op.scale;
    *alg = static_cast<mkldnn_alg_kind_t>(op.alg);
    *alpha = op.alpha;
    *beta = op.beta;
    return mkldnn_success;
  };
  return r;
}

void check_same(const Identity &a, const Identity &b, const std::string &what) {
  CHECK_TEXT(a.described && b.described, what);
  CHECK_TEXT(a == b, what << " changed the key\n" << a.text << "\n" << b.text);
  CHECK_TEXT(a.hash == b.hash, what);
  CHECK_TEXT(a.text == b.text, what);
}

void check_differs(const Identity &a, const Identity &b, const std::string &what) {
  CHECK_TEXT(a.described, what);
  if (!b.described) return;  // refused: as good as another key
  CHECK_TEXT(!(a == b), what << " did not change the key\n" << a.text);
  CHECK_TEXT(a.hash != b.hash, what << " did not change the hash");
  CHECK_TEXT(a.text != b.text, what << " did not change the text\n" << a.text);
}

Bytes::Bytes(size_t size) : bytes_(size), means_(size) {
  std::mt19937 random(static_cast<unsigned>(size));
  for (unsigned char &b : bytes_) b = static_cast<unsigned char>(random());
}

void flip_every_byte(Bytes *bytes, const std::string &kind,
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

Identity identity_of_operation(const Abi &abi, const void *op_desc) {
  const Real real = stub_real(abi);
  return identity([&](auto &v) {
    return opcache::visit_operation(v, real, kContext, op_desc, nullptr, nullptr, 0, 0);
  });
}

#define AT(T, member) offsetof(T, member)

Bytes convolution(const Release &r, int kind, bool backward_data) {
  typedef mkldnn_convolution_desc_t D;
  CHECK_EQ(sizeof(D), 3480);
  Bytes b(sizeof(D));
  b.put(AT(D, primitive_kind), "primitive_kind", kind);
  b.put(AT(D, prop_kind), "prop_kind", backward_data ? 160 : 64);
  b.put(AT(D, alg_kind), "alg_kind", 1);
  if (backward_data) {
    b.put_absent(AT(D, src_desc), "src");
    b.put_memory(AT(D, diff_src_desc), "diff_src", r);
  } else {
    b.put_memory(AT(D, src_desc), "src", r);
    b.put_absent(AT(D, diff_src_desc), "diff_src");
  }
  b.put_memory(AT(D, weights_desc), "weights", r);
  b.put_absent(AT(D, diff_weights_desc), "diff_weights");
  b.put_any(AT(D, bias_desc), "bias");
  b.put_absent(AT(D, diff_bias_desc), "diff_bias");
  b.put_memory(AT(D, dst_desc), "dst", r);
  b.put_memory(AT(D, diff_dst_desc), "diff_dst", r);
  b.put_all<int>(AT(D, strides), "strides", {1, 2});
  b.put_all<int>(AT(D, dilates), "dilates", {0, 0});
  b.put_all<int>(AT(D, padding), "padding_l", {1, 1});
  b.put_all<int>(AT(D, padding) + sizeof(mkldnn_dims_t), "padding_r", {0, 1});
  b.put(AT(D, padding_kind), "padding_kind", 0);
  b.put(AT(D, accum_data_type), "accum_data_type", 1);
  return b;
}

Bytes inner_product(const Release &r) {
  typedef mkldnn_inner_product_desc_t D;
  CHECK_EQ(sizeof(D), 3280);
  Bytes b(sizeof(D));
  b.put(AT(D, primitive_kind), "primitive_kind", r.inner_product);
  b.put(AT(D, prop_kind), "prop_kind", 192);
  b.put_memory(AT(D, src_desc), "src", r);
  b.put_memory(AT(D, diff_src_desc), "diff_src", r);
  b.put_memory(AT(D, weights_desc), "weights", r);
  b.put_wino(AT(D, diff_weights_desc), "diff_weights", r);
  b.put_memory(AT(D, bias_desc), "bias", r);
  b.put_memory(AT(D, diff_bias_desc), "diff_bias", r);
  b.put_memory(AT(D, dst_desc), "dst", r);
  b.put_memory(AT(D, diff_dst_desc), "diff_dst", r);
  b.put(AT(D, accum_data_type), "accum_data_type", 1);
  return b;
}

Bytes pooling(const Release &r) {
  typedef mkldnn_pooling_desc_t D;
  CHECK_EQ(sizeof(D), 1848);
  Bytes b(sizeof(D));
  b.put(AT(D, primitive_kind), "primitive_kind", r.pooling);
  b.put(AT(D, prop_kind), "prop_kind", 160);
  b.put(AT(D, alg_kind), "alg_kind", 34);
  b.put_absent(AT(D, src_desc), "src");
  b.put_memory(AT(D, diff_src_desc), "diff_src", r);
  b.put_absent(AT(D, dst_desc), "dst");
  b.put_memory(AT(D, diff_dst_desc), "diff_dst", r);
  b.put_all<int>(AT(D, strides), "strides", {1, 2});
  b.put_all<int>(AT(D, kernel), "kernel", {3, 3});
  b.put_all<int>(AT(D, padding), "padding_l", {1, 1});
  b.put_all<int>(AT(D, padding) + sizeof(mkldnn_dims_t), "padding_r", {0, 1});
  b.put(AT(D, padding_kind), "padding_kind", 0);
  b.put(AT(D, accum_data_type), "accum_data_type", 1);
  return b;
}

Bytes eltwise(const Release &r) {
  typedef mkldnn_eltwise_desc_t D;
  Bytes b(r.eltwise_bytes);
  b.put(AT(D, primitive_kind), "primitive_kind", r.eltwise);
  b.put(AT(D, prop_kind), "prop_kind", 160);
  b.put(AT(D, alg_kind), "alg_kind", 8);
  b.put_memory(AT(D, data_desc), "data", r);
  b.put_memory(AT(D, diff_data_desc), "diff_data", r);
  b.put(AT(D, alpha), "alpha", 0.25f);
  b.put(AT(D, beta), "beta", 0.0f);
  if (r.eltwise_bytes == sizeof(D)) b.put(AT(D, negative_slope), "negative_slope", 0.25f);
  return b;
}

Bytes lrn(const Release &r) {
  typedef mkldnn_lrn_desc_t D;
  CHECK_EQ(sizeof(D), 848);
  Bytes b(sizeof(D));
  b.put(AT(D, primitive_kind), "primitive_kind", r.lrn);
  b.put(AT(D, prop_kind), "prop_kind", 160);
  b.put(AT(D, alg_kind), "alg_kind", 65);
  b.put_memory(AT(D, data_desc), "data", r);
  b.put_memory(AT(D, diff_data_desc), "diff_data", r);
  b.put(AT(D, local_size), "local_size", 5);
  b.put(AT(D, lrn_alpha), "alpha", 1e-4f);
  b.put(AT(D, lrn_beta), "beta", 0.75f);
  b.put(AT(D, lrn_k), "k", 1.0f);
  return b;
}

Bytes batch_norm(const Release &r) {
  typedef mkldnn_batch_normalization_desc_t D;
  CHECK_EQ(sizeof(D), 2464);
  Bytes b(sizeof(D));
  b.put(AT(D, primitive_kind), "primitive_kind", r.batch_norm);
  b.put(AT(D, prop_kind), "prop_kind", 128);
  b.put_memory(AT(D, data_desc), "data", r);
  b.put_memory(AT(D, diff_data_desc), "diff_data", r);
  b.put_memory(AT(D, data_scaleshift_desc), "data_scaleshift", r);
  b.put_memory(AT(D, diff_data_scaleshift_desc), "diff_data_scaleshift", r);
  b.put_memory(AT(D, mean_desc), "mean", r);
  b.put_memory(AT(D, variance_desc), "variance", r);
  b.put(AT(D, batch_norm_epsilon), "epsilon", 1e-3f);
  b.put(AT(D, flags), "flags", 2u);
  return b;
}

Bytes softmax(const Release &r) {
  Bytes b(r.softmax_bytes);
  b.put(0, "primitive_kind", r.softmax);
  b.put(4, "prop_kind", 64);
  b.put_memory(8, "data", r);
  if (r.softmax_diff) b.put_memory(8 + sizeof(mkldnn_memory_desc_t), "diff", r);
  b.put(r.softmax_axis, "axis", 1);
  return b;
}

Descriptor memory(const Bytes &bytes, void *on) {
  Descriptor d;
  d.memory = true;
  d.engine = on;
  CHECK_EQ(bytes.size(), sizeof(d.md));
  memcpy(&d.md, bytes.data(), sizeof(d.md));
  return d;
}

Bytes plain(const Release &r) {
  Bytes b(sizeof(mkldnn_memory_desc_t));
  b.put_memory(0, "memory", r);
  return b;
}

}  // namespace key_fixture

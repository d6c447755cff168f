// Descriptors of the fake: which inputs and outputs an operation has, the layouts it settles on,
// and a digest of everything it was made from. Knows the kinds by its own reading of the headers,
// so that a field the library forgets shows.
#include <stddef.h>
#include <string.h>

#include "fake_state.h"

namespace fake {

namespace {

class Digest {
 public:
  uint64_t value() const { return value_; }
  void bytes(const void *from, size_t size) {
    const unsigned char *at = static_cast<const unsigned char *>(from);
    for (size_t i = 0; i < size; ++i) value_ = (value_ ^ at[i]) * 0x100000001b3ull;
  }
  template <class... T>
  void add(const T &...values) {
    (bytes(&values, sizeof(values)), ...);
  }
  void text(const std::string &s) { bytes(s.c_str(), s.size() + 1); }

  void memory(const mkldnn_memory_desc_t &md) {
    add(md.ndims);
    if (md.ndims == 0) return;
    const size_t n = static_cast<size_t>(md.ndims);
    bytes(md.dims, n * sizeof(Dim));
#ifdef API1
    add(md.data_type, md.format_kind, md.extra.flags);
    for (const Dim *dims : {md.padded_dims, md.padded_offsets}) bytes(dims, n * sizeof(Dim));
    add(md.offset0);
    if ((md.extra.flags & 1) != 0) add(md.extra.compensation_mask);
    if ((md.extra.flags & 2) != 0) add(md.extra.scale_adjust);
    if (md.format_kind == mkldnn_format_kind_any) return;
    const mkldnn_blocking_desc_t &b = md.format_desc.blocking;
    if (md.format_kind != mkldnn_blocked) return add(md.format_desc);
    bytes(b.strides, n * sizeof(Dim));
    add(b.inner_nblks);
    for (const Dim *dims : {b.inner_blks, b.inner_idxs}) {
      bytes(dims, static_cast<size_t>(b.inner_nblks) * sizeof(Dim));
    }
#else
    add(md.data_type, md.format);
    if (md.format == mkldnn_any) return;
    const mkldnn_blocking_desc_t &b = md.layout_desc.blocking;
    bytes(b.block_dims, n * sizeof(int));
    bytes(b.strides[0], n * sizeof(ptrdiff_t));
    bytes(b.strides[1], n * sizeof(ptrdiff_t));
    bytes(b.padding_dims, n * sizeof(int));
    bytes(b.offset_padding_to_data, n * sizeof(int));
    add(b.offset_padding);
#endif
  }

  void attr(const Attr &a) {
    add(a.mode, a.mask);
#ifdef API1
    for (float number : a.rnn) add(number);
#endif
    for (float scale : a.scales) add(scale);
    for (const PostOp &op : a.post_ops.ops) add(op.kind, op.scale, op.alg, op.alpha, op.beta);
  }

 private:
  uint64_t value_ = 0xcbf29ce484222325ull;
};

}  // namespace

bool sane(const mkldnn_memory_desc_t &md) {
  if (md.ndims < 0 || md.ndims > kMaxDims) return false;
#ifdef API1
  const int blocks = md.format_desc.blocking.inner_nblks;
  return md.format_kind != mkldnn_blocked || (blocks >= 0 && blocks <= kMaxDims);
#else
  return true;
#endif
}

namespace {

// An operation's description, taken apart.
struct Parts {
  size_t size;  // of its struct
  int inputs;
  int outputs;
  const mkldnn_memory_desc_t *roles[kRoles];
};

bool forward(int prop_kind) {
  return prop_kind == mkldnn_forward_training || prop_kind == mkldnn_forward_inference;
}

// Convolution, deconvolution and inner product name their tensors alike.
template <class D>
Parts layers(const D &d) {
  const bool backward_data = d.prop_kind == mkldnn_backward_data;
  const bool backward_weights = d.prop_kind == mkldnn_backward_weights;
  Parts p = {sizeof(D), 2, 1, {}};
  p.roles[kSrc] = backward_data ? &d.diff_src_desc : &d.src_desc;
  p.roles[kWeights] = backward_weights ? &d.diff_weights_desc : &d.weights_desc;
  p.roles[kBias] = backward_weights ? &d.diff_bias_desc : &d.bias_desc;
  p.roles[kDst] = forward(d.prop_kind) ? &d.dst_desc : &d.diff_dst_desc;
  const bool bias = p.roles[kBias]->ndims != 0 && !backward_data;
  if (bias) ++(backward_weights ? p.outputs : p.inputs);
  return p;
}

Parts take_apart(const mkldnn_pooling_desc_t &d) {
  const bool fwd = forward(d.prop_kind);
  const bool workspace =
      d.alg_kind == mkldnn_pooling_max && d.prop_kind != mkldnn_forward_inference;
  Parts p = {sizeof(d), fwd || !workspace ? 1 : 2, fwd && workspace ? 2 : 1, {}};
  p.roles[kSrc] = fwd ? &d.src_desc : &d.diff_src_desc;
  p.roles[kDst] = fwd ? &d.dst_desc : &d.diff_dst_desc;
  if (workspace) p.roles[kWorkspace] = p.roles[kDst];
  return p;
}

// One tensor, and when it goes back, that of its gradient.
template <class D>
Parts one_tensor(const D &d) {
  return {
      sizeof(d), forward(d.prop_kind) ? 1 : 2, 1, {&d.data_desc, nullptr, nullptr, &d.data_desc}};
}
Parts take_apart(const mkldnn_eltwise_desc_t &d) { return one_tensor(d); }
Parts take_apart(const mkldnn_softmax_desc_t &d) { return one_tensor(d); }
Parts take_apart(const mkldnn_shuffle_desc_t &d) { return one_tensor(d); }
Parts take_apart(const mkldnn_convolution_desc_t &d) { return layers(d); }
Parts take_apart(const mkldnn_inner_product_desc_t &d) { return layers(d); }

Parts take_apart(const mkldnn_lrn_desc_t &d) {
  const bool fwd = forward(d.prop_kind);
  const bool workspace = d.prop_kind != mkldnn_forward_inference;
  Parts p = {sizeof(d), fwd ? 1 : 3, fwd && workspace ? 2 : 1, {&d.data_desc}};
  p.roles[kDst] = &d.data_desc;
  if (workspace) p.roles[kWorkspace] = &d.data_desc;
  return p;
}

Parts take_apart(const mkldnn_batch_normalization_desc_t &d) {
  const bool scale = (d.flags & mkldnn_use_scaleshift) != 0;
  const bool global = (d.flags & mkldnn_use_global_stats) != 0;
  Parts p = {sizeof(d), 0, 0, {&d.data_desc}};
  p.roles[kDst] = &d.data_desc;
  if (scale) p.roles[kWeights] = &d.data_scaleshift_desc;
  if (forward(d.prop_kind)) {
    p.inputs = 1 + (global ? 2 : 0) + (scale ? 1 : 0);
    p.outputs = 1 + (d.prop_kind == mkldnn_forward_training && !global ? 2 : 0);
  } else {
    p.inputs = 4 + (scale ? 1 : 0);
    p.outputs = 1 + (scale && d.prop_kind == mkldnn_backward ? 1 : 0);
  }
  return p;
}

int spatial(const mkldnn_memory_desc_t &md) { return md.ndims > 2 ? md.ndims - 2 : 0; }

// What an operation is given beside memories. Descriptions that are equal here are equal to
// MKL-DNN.
template <class D>
void add_window(Digest *digest, const D &d, const Dim *second) {
  digest->add(d.alg_kind);
  const size_t n = sizeof(Dim) * static_cast<size_t>(spatial(*take_apart(d).roles[kSrc]));
  for (const Dim *dims : {d.strides, second, d.padding[0], d.padding[1]}) digest->bytes(dims, n);
}
template <class D>
void add_gradient(Digest *digest, const D &d, const mkldnn_memory_desc_t &gradient) {
  if (!forward(d.prop_kind) && sane(gradient)) digest->memory(gradient);
}
void add_numbers(Digest *digest, const mkldnn_convolution_desc_t &d) {
  add_window(digest, d, d.dilates);
}
void add_numbers(Digest *digest, const mkldnn_pooling_desc_t &d) {
  add_window(digest, d, d.kernel);
}
void add_numbers(Digest *, const mkldnn_inner_product_desc_t &) {}
void add_numbers(Digest *, const mkldnn_shuffle_desc_t &) {}
void add_numbers(Digest *digest, const mkldnn_eltwise_desc_t &d) {
  digest->add(d.alg_kind, d.alpha, d.beta);
  add_gradient(digest, d, d.diff_data_desc);
}
void add_numbers(Digest *digest, const mkldnn_softmax_desc_t &d) {
  digest->add(d.softmax_axis);
  add_gradient(digest, d, d.diff_desc);
}
void add_numbers(Digest *digest, const mkldnn_lrn_desc_t &d) {
  digest->add(d.alg_kind, d.local_size, d.lrn_alpha, d.lrn_beta, d.lrn_k);
  add_gradient(digest, d, d.diff_data_desc);
}
void add_numbers(Digest *digest, const mkldnn_batch_normalization_desc_t &d) {
  digest->add(d.batch_norm_epsilon, d.flags);
  add_gradient(digest, d, d.diff_data_desc);
}

// Both of an operation's description; false: there is no such operation.
template <class D>
bool read(const void *op_desc, Parts *parts, Digest *numbers) {
  *parts = take_apart(*static_cast<const D *>(op_desc));
  for (const mkldnn_memory_desc_t *role : parts->roles) {
    if (role != nullptr && !sane(*role)) return false;
  }
  add_numbers(numbers, *static_cast<const D *>(op_desc));
  return true;
}
bool read_any(const void *op_desc, Parts *parts, Digest *numbers) {
  switch (*static_cast<const mkldnn_primitive_kind_t *>(op_desc)) {
#define READ(kind, D) \
  case mkldnn_##kind: \
    return read<mkldnn_##D##_desc_t>(op_desc, parts, numbers);
    READ(convolution, convolution)
    READ(deconvolution, convolution)
    READ(inner_product, inner_product)
    READ(pooling, pooling)
    READ(eltwise, eltwise)
    READ(softmax, softmax)
    READ(lrn, lrn)
    READ(batch_normalization, batch_normalization)
    READ(shuffle, shuffle)
#undef READ
    default:
      return false;
  }
}

// A memory is the same for any number of threads.
Digest new_digest(int kind, const Engine *engine, bool operation = true) {
  Digest digest;
  digest.add(kind, engine != nullptr ? engine->number : 0);
  t_asking = true;
  if (operation) digest.add(omp_get_max_threads(), omp_in_parallel());
  t_asking = false;
  return digest;
}

Descriptor *make(int kind, Engine *engine, const std::string &implementation,
                 FakeType type = kFakeDescriptor) {
  Descriptor *d = State::get().make<Descriptor>(type);
  d->kind = kind;
  d->engine = engine;
  d->implementation = "fake:" + implementation;
  return d;
}

}  // namespace

Descriptor *describe_memory(const mkldnn_memory_desc_t &md, Engine *engine, int kind,
                            FakeType type) {
  Descriptor *d = make(kind, engine, "memory", type);
  d->md = md;
  Digest digest = new_digest(kind, engine, false);
  digest.memory(md);
  d->content = digest.value();
  return d;
}

bool is_described(const void *op_desc) {
  Parts parts;
  Digest numbers;
  return read_any(op_desc, &parts, &numbers);
}

Descriptor *describe(const void *op_desc, const Attr *attr, Engine *engine, const Descriptor *hint,
                     int position) {
  Parts p;
  Digest numbers;
  if (!read_any(op_desc, &p, &numbers)) return nullptr;
  const int *head = static_cast<const int *>(op_desc);
  Descriptor *d = make(head[0], engine, std::to_string(position));
  d->inputs = p.inputs;
  d->outputs = p.outputs;
  d->op_desc.assign(static_cast<const char *>(op_desc),
                    static_cast<const char *>(op_desc) + p.size);
  if (attr != nullptr) d->attr = *attr;
  Digest digest = new_digest(d->kind, engine);
  digest.add(head[1], position);
  for (int i = 0; i < kRoles; ++i) {
    if (p.roles[i] == nullptr || p.roles[i]->ndims == 0) continue;
    digest.add(i);
    digest.memory(*p.roles[i]);
    d->roles[i] = describe_memory(*p.roles[i], engine, kMemoryKind, kFakeTypes);
  }
  digest.add(numbers.value());
  digest.attr(d->attr);
  // A forward operation keeps its hint, as the real one does, and reads nothing of it.
  const bool forward = head[1] == mkldnn_forward_training || head[1] == mkldnn_forward_scoring;
  if (hint != nullptr && !forward) digest.add(hint->content);
  d->content = digest.value();
  return d;
}

Descriptor *describe_reorder(const Descriptor &input, const Descriptor &output, const Attr *attr) {
  Descriptor *d = make(mkldnn_reorder, input.engine, "reorder");
  d->inputs = d->outputs = 1;
  if (attr != nullptr) d->attr = *attr;
  Digest digest = new_digest(d->kind, input.engine);
  digest.add(output.engine->number);
  digest.memory(input.md);
  digest.memory(output.md);
  digest.attr(d->attr);
  d->content = digest.value();
  return d;
}

Descriptor *describe_many(int kind, const mkldnn_memory_desc_t *output, int n, const float *scales,
                          int dimension, const std::vector<const Descriptor *> &inputs,
                          const Attr *attr) {
  Descriptor *d = make(kind, inputs[0]->engine, "many");
  d->inputs = n;
  d->outputs = 1;
  if (attr != nullptr) d->attr = *attr;
  Digest digest = new_digest(kind, d->engine);
  digest.add(n, dimension);
  if (output != nullptr) digest.memory(*output);
  for (int i = 0; i < n; ++i) {
    digest.memory(inputs[static_cast<size_t>(i)]->md);
    if (scales != nullptr) digest.add(scales[i]);
  }
  digest.attr(d->attr);
  d->content = digest.value();
  const mkldnn_memory_desc_t &md = output != nullptr ? *output : inputs[0]->md;
  d->roles[kDst] = describe_memory(md, d->engine, kMemoryKind, kFakeTypes);
  return d;
}

Descriptor *copy(const Descriptor &d, FakeType type) {
  Descriptor *c = State::get().make<Descriptor>(type);
  const size_t tag = c->tag;
  *c = d;
  c->tag = tag;
  for (Descriptor *&role : c->roles) {
    if (role != nullptr) role = describe_memory(role->md, role->engine, role->kind, kFakeTypes);
  }
  return c;
}

void destroy(Descriptor *d) {
  for (Descriptor *role : d->roles) {
    if (role != nullptr) State::get().destroy(role);
  }
  State::get().destroy(d);
}

}  // namespace fake

#include "api0/estimate.h"

#include <string.h>

#include <algorithm>

#include "memory/estimate.h"
#include "shared/policy.h"

namespace opcache {

namespace {

const long kBlock = 16;  // channels in a block of AVX-512
const long kFloat = sizeof(float);

long blocks(long n, long size) { return (n + size - 1) / size; }

// A convolution: channels are those of a group; depth, height, width.
struct Shape {
  long batch, groups, ic, oc;
  long in[3], out[3], kernel[3], stride[3];
};

long volume(const long (&n)[3]) { return n[0] * n[1] * n[2]; }
long weights(const Shape &s) { return s.groups * s.ic * s.oc * volume(s.kernel); }

// False: not a convolution of one to three dimensions.
bool read_shape(const mkldnn_convolution_desc_t &c, Shape *s) {
  const bool backward_data = c.prop_kind == mkldnn_backward_data;
  const bool backward_weights = c.prop_kind == mkldnn_backward_weights;
  const mkldnn_memory_desc_t &src = backward_data ? c.diff_src_desc : c.src_desc;
  const mkldnn_memory_desc_t &w = backward_weights ? c.diff_weights_desc : c.weights_desc;
  const mkldnn_memory_desc_t &dst =
      backward_data || backward_weights ? c.diff_dst_desc : c.dst_desc;
  const int n = src.ndims - 2, grouped = w.ndims - src.ndims;
  if (n < 1 || n > 3 || dst.ndims != src.ndims || grouped < 0 || grouped > 1) return false;
  s->batch = src.dims[0];
  s->groups = grouped ? w.dims[0] : 1;
  s->oc = w.dims[grouped];
  s->ic = w.dims[grouped + 1];
  for (int i = 0; i < 3; ++i) {
    const int at = i - (3 - n);
    s->in[i] = at < 0 ? 1 : src.dims[2 + at];
    s->out[i] = at < 0 ? 1 : dst.dims[2 + at];
    s->kernel[i] = at < 0 ? 1 : w.dims[grouped + 2 + at];
    s->stride[i] = at < 0 ? 1 : c.strides[at];
  }
  return volume(s->out) > 0 && volume(s->stride) > 0 && s->batch > 0;
}

// How threads share a weight gradient. Those that share the batch keep a copy each, but for one.
struct Split {
  long batch, oc, ic;
};

// Calls `consider` with every split of the threads.
template <class Consider>
void for_each_split(long threads, long batch_most, long oc_blocks, long ic_blocks,
                    const Consider &consider) {
  for (long batch = 1; batch <= std::min(threads, batch_most); ++batch) {
    const long rest = threads / batch;
    for (long oc = 1; oc <= std::min(rest, oc_blocks); ++oc) {
      consider(Split{batch, oc, std::min(rest / oc, ic_blocks)});
    }
  }
}

// The last of the splits that take least by `memory`.
template <class Memory>
Split cheapest(long threads, long batch_most, long oc_blocks, long ic_blocks,
               const Memory &memory) {
  Split best = {1, 1, 1};
  long least = memory(best);
  for_each_split(threads, batch_most, oc_blocks, ic_blocks, [&](const Split &t) {
    const long here = memory(t);
    if (here > least) return;
    least = here;
    best = t;
  });
  return best;
}

// jit_avx512_common_convolution_bwd_weights_t::balance(), without its Xeon Phi.
long copies(const Shape &s, long threads) {
  const long per_group = threads / s.groups;
  const bool first = s.ic == 1 || s.ic == 3;
  const long ic_block = first ? s.ic : kBlock;
  const long ic_blocks = blocks(s.ic, ic_block), oc_blocks = blocks(s.oc, kBlock);
  const auto memory = [&](const Split &t) {
    const long images = blocks(s.batch, t.batch);
    const long ics = blocks(ic_blocks, t.ic) * ic_block, ocs = blocks(oc_blocks, t.oc) * kBlock;
    return images * ics * volume(s.in) / volume(s.stride) + images * ocs * volume(s.out) +
           8 * ics * ocs * volume(s.kernel);
  };
  const auto computing = [&](const Split &t) {
    return blocks(s.batch, t.batch) * blocks(oc_blocks, t.oc) * blocks(ic_blocks, t.ic);
  };
  const long batch_most = s.batch * s.out[0];
  Split best = cheapest(per_group, batch_most, oc_blocks, ic_blocks, memory);
  const long least = memory(best);
  long least_computing = computing(best);
  for_each_split(per_group, batch_most, oc_blocks, ic_blocks, [&](const Split &t) {
    const long here = computing(t);
    const bool as_cheap = here <= least_computing &&
                          static_cast<double>(memory(t)) < 1.1 * static_cast<double>(least);
    if (!as_cheap && 4 * here > 3 * least_computing) return;
    least_computing = here;
    best = t;
  });
  if (best.batch > threads / 2 && best.batch < threads) {
    best.batch = std::min(batch_most, threads);
  }
  return best.batch - 1;
}

// best_divider() of jit_uni_1x1_conv_utils.hpp.
long best_divider(long value, long least, long most, bool largest) {
  most = std::max(1L, std::min(most, value));
  least = std::max(1L, std::min(least, most));
  double least_loss = 2;
  long best = most;
  for (long divider = most; divider >= least; --divider) {
    const long whole = blocks(value, divider) * divider;
    const double loss = static_cast<double>(whole - value) / static_cast<double>(whole);
    if (loss > least_loss || (largest && loss == least_loss)) continue;
    least_loss = loss;
    best = divider;
  }
  return best;
}

// jit_avx512_common_1x1_conv_kernel::balance(), without the Xeon Phi.
long copies_1x1(const Shape &s, long threads) {
  const long reduced = s.out[1] * s.out[2];
  long size = best_divider(reduced, 7, 16, true);
  if (reduced % size != 0) size = best_divider(s.out[2], 4, s.out[2], false);
  if (size > 256) size = 1;
  const long parts = s.batch * blocks(reduced, size);
  const long ic_blocks = blocks(s.ic, kBlock), oc_blocks = blocks(s.oc, kBlock);
  const auto memory = [&](const Split &t) {
    const long ics = blocks(ic_blocks, t.ic) * kBlock, ocs = blocks(oc_blocks, t.oc) * kBlock;
    return blocks(parts, t.batch) * size * (ics + ocs) + 12 * ics * ocs;
  };
  Split best = cheapest(threads, parts, oc_blocks, ic_blocks, memory);
  if (best.batch > threads / 2 && best.batch < threads) best.batch = std::min(s.batch, threads);
  return best.batch - 1;
}

// The workspace of cpu_reducer.hpp, as reduce_balancer_t::balance() shares it: `jobs` sums of `job`
// floats over `parts`. The threads of a group have a copy each; its first one only if it is `all`.
long reducer_floats(long threads, long jobs, long job, long parts, long buffer, bool all) {
  const long most = std::max(1L, buffer / (threads * job)), first = std::max(1L, jobs / threads);
  long floats = 0, least = 0;
  for (long each = first; each == first || (each < jobs && each <= most); ++each) {
    const long groups = std::min(jobs / each, threads), team = std::min(threads / groups, parts);
    const long own = blocks(jobs, groups);
    const long cost = own * (blocks(parts, team) + (team > 1));
    if ((team > 1 && own > most) || (each != first && cost >= least)) continue;
    least = cost;
    floats = team > 1 ? groups * (team - !all) * own * job : 0;
  }
  return floats;
}

// jit_avx2_convolution_bwd_weights_t.
long avx2_floats(const Shape &s, long threads) {
  const long ic_block = s.ic == 3 ? 3 : 8;
  const long jobs = s.groups * blocks(s.ic, ic_block) * blocks(s.oc, 8);
  return reducer_floats(threads, jobs, volume(s.kernel) * ic_block * 8, s.batch, 1L << 21, false);
}

long blocking(long n, long most) {
  while (n > most && (n % 2 == 0 || n % 3 == 0)) n /= n % 2 == 0 ? 2 : 3;
  return n;
}

// jit_avx2_1x1_convolution_bwd_weights_t.
long avx2_floats_1x1(const Shape &s, long threads) {
  const long ics = blocks(s.ic, 8), ocs = blocks(s.oc, 8);
  const long ic = blocking(ics, 9), oc = blocking(ocs, 32), job = 64 * ic * oc;
  const long jobs = blocks(ics, ic) * blocks(ocs, oc);
  return reducer_floats(threads, jobs, job, s.batch * volume(s.out), 8 * threads * job, true);
}

bool starts(const char *text, const char *beginning) {
  return strncmp(text, beginning, strlen(beginning)) == 0;
}

// The buffers of gemm convolutions in v0.14 (gemm_convolution.hpp); later ones use the scratchpad.
long gemm_floats(const Shape &s, int prop_kind, long threads) {
  const long pixels = s.out[1] * s.out[2];
  const bool alone = s.batch == 1 && s.groups <= 2;
  bool parallel = !alone;
  if (prop_kind == mkldnn_backward_weights) {
    parallel = pixels / threads < 256 && !alone;
  } else if (prop_kind != mkldnn_backward_data) {
    parallel = pixels / threads < 512 && (s.out[0] != 1 || !alone);
  }
  const long team = parallel ? threads : 1;
  const bool as_it_is = volume(s.kernel) == 1 && volume(s.out) == volume(s.in);
  long floats = as_it_is ? 0 : team * pixels * volume(s.kernel) * s.ic;
  // The sums of a weight gradient. MKL-DNN allocates as many for each group, which are never
  // touched and so take no memory.
  const long by_group = std::min(s.groups, team), by_batch = std::min(s.batch, team / by_group);
  if (prop_kind == mkldnn_backward_weights && by_batch > 1) {
    floats += by_group * by_batch * (weights(s) / s.groups);
  }
  return floats;
}

long convolution_floats(const Real &r, const char *name, const mkldnn_convolution_desc_t &c,
                        long threads) {
  Shape s;
  if (!read_shape(c, &s)) return 0;
  const bool backward_weights = c.prop_kind == mkldnn_backward_weights;
  if (starts(name, "gemm:")) {
    return r.abi->keeps == Keeps::kOwnGemm ? gemm_floats(s, c.prop_kind, threads) : 0;
  }
  if (s.groups == 1) {
    s.oc = blocks(s.oc, kBlock) * kBlock;
    if (s.ic != 1 && s.ic != 3) s.ic = blocks(s.ic, kBlock) * kBlock;
  }
  const bool one = starts(name, "jit_1x1:");
  long floats = 0;
  // A strided 1x1 convolution first gathers the pixels that it reads (init_rtus_driver()).
  if (one && volume(s.stride) > 1) {
    const long ic_blocks = blocks(s.ic, kBlock);
    const long gathered =
        backward_weights ? best_divider(ic_blocks, 5, ic_blocks, false) * kBlock : s.ic;
    floats = threads * gathered * volume(s.out);
  }
  if (!backward_weights || !starts(name, "jit") || threads < s.groups) return floats;
  if (strcmp(name, "jit:avx512_common") == 0) {
    return floats + copies(s, threads) * (weights(s) + s.groups * s.oc);
  }
  if (strcmp(name, "jit_1x1:avx512_common") == 0) {
    return floats + copies_1x1(s, threads) * weights(s);
  }
  if (strcmp(name, "jit:avx2") == 0) return floats + avx2_floats(s, threads);
  if (strcmp(name, "jit_1x1:avx2") == 0) return floats + avx2_floats_1x1(s, threads);
  return floats + (std::min(threads, s.batch) - 1) * weights(s);
}

long batch_norm_floats(const Real &r, const mkldnn_batch_normalization_desc_t &b, long threads) {
  const bool forward =
      b.prop_kind == mkldnn_forward_training || b.prop_kind == mkldnn_forward_inference;
  const bool own_shift =
      !forward && (b.prop_kind == mkldnn_backward_data || (b.flags & mkldnn_use_scaleshift) == 0);
  const bool own_statistics =
      b.prop_kind == mkldnn_forward_inference && (b.flags & mkldnn_use_global_stats) == 0;
  const long sums = r.abi->keeps == Keeps::kOwnGemm ? b.data_desc.dims[0] : threads;
  const long rows = 2 * own_shift + 2 * own_statistics + (forward ? 1 : 2) * sums;
  return rows * blocks(b.data_desc.dims[1], kBlock) * kBlock;
}

template <class T>
T query(const Real &r, const Descriptor *d, int what, T otherwise) {
  T value = otherwise;
  const auto query = static_cast<mkldnn_query_t>(what);
  const mkldnn_status_t status = r.primitive_desc_query(d->real, query, 0, &value);
  return status == mkldnn_success ? value : otherwise;
}

}  // namespace

size_t estimated_bytes(const Real &r, const Descriptor *d) {
  const size_t code = estimated_code_bytes(op_of(d));
  if (op_of(d) == kMemory) return code;
  const Kind kind = kind_of(r, d->real);
  const char *const name = query<const char *>(r, d, mkldnn_query_impl_info_str, "");
  if (r.abi->keeps == Keeps::kTold) {
    const long told = query<ptrdiff_t>(r, d, mkldnn_query_memory_consumption_s64, 0);
    return code + own_scratchpad_bytes(name, told);
  }
  const long threads = d->team < 0 ? -d->team : d->team;
  if (kind != Kind::kConvolution && kind != Kind::kBatchNorm) return code;
  const void *const desc = query<const void *>(r, d, op_desc_query(*r.abi, kind), nullptr);
  if (desc == nullptr || threads < 1) return code;
  const long floats =
      kind == Kind::kConvolution
          ? convolution_floats(r, name, *static_cast<const mkldnn_convolution_desc_t *>(desc),
                               threads)
          : batch_norm_floats(r, *static_cast<const mkldnn_batch_normalization_desc_t *>(desc),
                              threads);
  return code + static_cast<size_t>(kFloat * floats);
}

}  // namespace opcache

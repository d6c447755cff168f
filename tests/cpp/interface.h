// Which interface the headers of MKL-DNN are of. What the tests and the fake say for both stands
// once; API1 is defined where that is compiled for 1.0, with the header in mkldnn1/.
#pragma once

#include <mkldnn.h>

#include <type_traits>

#if defined(API1) != defined(MKLDNN_MAX_NDIMS)
#error "API1 is for the headers of MKL-DNN 1.0"
#endif

typedef std::remove_extent<mkldnn_dims_t>::type Dim;  // int, from 1.0 on int64_t
const int kMaxDims = std::extent<mkldnn_dims_t>::value;

#ifdef API1
#define MKLDNN_LIBRARY "libmkldnn.so.1"
typedef mkldnn_format_tag_t Format;
const Format kAnyFormat = mkldnn_format_tag_any;
const mkldnn_primitive_kind_t kMemoryKind = mkldnn_undefined_primitive;
#else
#define MKLDNN_LIBRARY "libmkldnn.so.0"
typedef mkldnn_memory_format_t Format;
const Format kAnyFormat = mkldnn_any;
const mkldnn_primitive_kind_t kMemoryKind = mkldnn_memory;
#endif

inline mkldnn_status_t init_layout(mkldnn_memory_desc_t *md, int ndims, const Dim *dims,
                                   mkldnn_data_type_t type, Format format) {
#ifdef API1
  return mkldnn_memory_desc_init_by_tag(md, ndims, dims, type, format);
#else
  return mkldnn_memory_desc_init(md, ndims, dims, type, format);
#endif
}

// What differs when these sources are part of libmxnet.so itself (docs/source-patch.md), where
// MXNet's build defines MXNET_USE_MKLDNN. Nothing else in the library may ask.
#ifndef OPCACHE_IN_TREE_H_
#define OPCACHE_IN_TREE_H_

namespace opcache {

#ifdef MXNET_USE_MKLDNN
const bool kInTree = true;
// One initial-exec variable makes the loader place all of a library's thread-locals in room that
// it keeps for a few small ones; libmxnet.so has kilobytes, and would not load.
#define OPCACHE_TLS_MODEL
#else
const bool kInTree = false;
// Initial-exec: one instruction to reach, and it needs no allocation that could fail.
#define OPCACHE_TLS_MODEL __attribute__((tls_model("initial-exec")))
#endif

}  // namespace opcache

#endif  // OPCACHE_IN_TREE_H_

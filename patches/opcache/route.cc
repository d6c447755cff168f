#include "route.h"

#include <dlfcn.h>
#include <string.h>

#include <atomic>

#include "library.h"
#include "report/message.h"

namespace opcache {

namespace {

// Names are looked up in the program and what it was started with first, then in the library that
// calls and what that one needs: the order of the dynamic loader, without ourselves. Where that
// leads back here (preloaded, we are taken for the copy in a patched MXNet), in the MKL-DNN that
// the calling library needs besides.
void *definition(const char *name, const void *caller) {
  if (void *const next = dlsym(RTLD_NEXT, name)) return next;
  Dl_info calling = {};
  if (dladdr(caller, &calling) == 0) return nullptr;
  void *const handle = dlopen(calling.dli_fname, RTLD_NOLOAD | RTLD_LAZY);
  if (handle == nullptr) return nullptr;
  void *found = dlsym(handle, name);
  Dl_info there = {}, here = {};
  const bool ours = found != nullptr && dladdr(found, &there) != 0 &&
                    dladdr(reinterpret_cast<const void *>(&definition), &here) != 0 &&
                    there.dli_fbase == here.dli_fbase;
  if (ours) found = linked_function(handle, name);
  dlclose(handle);
  return found;
}

// What the interface of the loaded MKL-DNN has for that name: a function of ours, or its own.
const void *function_of(const Library &found, const char *name) {
  for (const Call *call = found.calls; call->name != nullptr; ++call) {
    if (strcmp(call->name, name) == 0) return call->function;
  }
  return dlsym(found.handle, name);
}

const char *file_of(const void *address) {
  Dl_info info = {};
  return dladdr(address, &info) != 0 ? info.dli_fname : "another library";
}

}  // namespace

}  // namespace opcache

using namespace opcache;

// Settles where a route goes, and returns that. `caller` is an address in the code that called.
extern "C" __attribute__((visibility("hidden"), used)) const void *opcache_choose(
    Route *route, const void *caller) {
  const Library *const found = library_is_loaded() ? library() : nullptr;
  const void *target = found != nullptr ? function_of(*found, route->name) : nullptr;
  if (target == nullptr) {
    target = definition(route->name, caller);
    static std::atomic<bool> said(false);
    if (target == nullptr) {
      library();  // says that there is none
      target = route->unserved;
    } else if (!two_libraries() && !said.exchange(true)) {
      message(
          "MKL-DNN is in %s here, not in a libmkldnn.so.0 or libmkldnn.so.1 of MXNet 1.3 to 1.6; "
          "not caching",
          file_of(target));
    }
  }
  // Of two MKL-DNNs each caller means the one that it is linked to: every call is settled anew.
  if (!two_libraries()) __atomic_store_n(&route->target, target, __ATOMIC_RELEASE);
  return target;
}

// The first call through a route, which is in rax: keeps the registers that hold arguments (no
// function takes more than two floats), chooses, and jumps there.
asm(R"(
  .pushsection .text
  .globl opcache_first_call
  .hidden opcache_first_call
opcache_first_call:
  .cfi_startproc
  pushq %rdi
  pushq %rsi
  pushq %rdx
  pushq %rcx
  pushq %r8
  pushq %r9
  pushq %rax
  subq $16, %rsp
  .cfi_adjust_cfa_offset 72
  movsd %xmm0, (%rsp)
  movsd %xmm1, 8(%rsp)
  movq %rax, %rdi
  movq 72(%rsp), %rsi
  call opcache_choose
  movq %rax, %r11
  movsd (%rsp), %xmm0
  movsd 8(%rsp), %xmm1
  addq $16, %rsp
  popq %rax
  popq %r9
  popq %r8
  popq %rcx
  popq %rdx
  popq %rsi
  popq %rdi
  .cfi_adjust_cfa_offset -72
  jmp *%r11
  .cfi_endproc
  .popsection
)");

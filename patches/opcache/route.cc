#include "route.h"

#include <dlfcn.h>

#include <atomic>

#include "library.h"
#include "report/message.h"

namespace opcache {

namespace {

// Names are looked up in the program and what it was started with first, then in the library that
// calls and what that one needs: the order of the dynamic loader, without ourselves.
// nullptr when that leads back here: preloaded, we are taken for the copy in a patched MXNet.
void *definition(const char *name, const void *caller) {
  if (void *const next = dlsym(RTLD_NEXT, name)) return next;
  Dl_info calling = {};
  if (dladdr(caller, &calling) == 0) return nullptr;
  void *const handle = dlopen(calling.dli_fname, RTLD_NOLOAD | RTLD_LAZY);
  void *const found = handle != nullptr ? dlsym(handle, name) : nullptr;
  Dl_info there = {}, here = {};
  const bool ours = found != nullptr && dladdr(found, &there) != 0 &&
                    dladdr(reinterpret_cast<const void *>(&definition), &here) != 0 &&
                    there.dli_fbase == here.dli_fbase;
  return ours ? nullptr : found;
}

const char *file_of(const void *address) {
  Dl_info info = {};
  return dladdr(address, &info) != 0 ? info.dli_fname : "another library";
}

}  // namespace

}  // namespace opcache

using namespace opcache;

// Settles where a route goes, and returns it. `caller` is an address in the code that called.
extern "C" __attribute__((visibility("hidden"), used)) const void *opcache_choose(
    Route *route, const void *caller) {
  const void *target = route->ours;
  if (!library_is_loaded() || library() == nullptr) {
    target = definition(route->name, caller);
    static std::atomic<bool> said(false);
    if (target == nullptr) {
      library();  // says that there is none
      target = route->unserved;
    } else if (!said.exchange(true)) {
      message("MKL-DNN is in %s here, not in a libmkldnn.so.0 of MXNet 1.3 to 1.5; not caching",
              file_of(target));
    }
  }
  __atomic_store_n(&route->target, target, __ATOMIC_RELEASE);
  return target;
}

// The first call through a route, which is in rax: keeps the registers that hold arguments (none
// of these functions takes floating-point ones), chooses, and jumps there.
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
  .cfi_adjust_cfa_offset 56
  movq %rax, %rdi
  movq 56(%rsp), %rsi
  call opcache_choose
  movq %rax, %r11
  popq %rax
  popq %r9
  popq %r8
  popq %rcx
  popq %rdx
  popq %rsi
  popq %rdi
  .cfi_adjust_cfa_offset -56
  jmp *%r11
  .cfi_endproc
  .popsection
)");

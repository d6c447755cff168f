// Where the calls of an exported function go. Preloaded, this library stands before any MKL-DNN:
// one that it cannot serve (another interface, or one in a file of another name) gets its calls as
// if this library were not there, whatever arguments its functions of these names take.
#ifndef OPCACHE_ROUTE_H_
#define OPCACHE_ROUTE_H_

namespace opcache {

struct Route {
  const void *target;  // first, for the jump; at the start what decides, on the first call
  const char *name;
  const void *unserved;
};

// Exports `symbol`, which jumps to the target of its route: to the function that the interface of
// the loaded MKL-DNN has for this name (Library::calls), to MKL-DNN's own where it has none, or
// where MKL-DNN is elsewhere in this process; to `unserved`, where it is nowhere. The interfaces
// use the same names for functions with other arguments.
#define OPCACHE_ROUTE(symbol, unserved)                                                   \
  extern "C" __attribute__((visibility("hidden"))) const char opcache_first_##symbol;     \
  extern "C" __attribute__((visibility("hidden"))) opcache::Route opcache_route_##symbol; \
  opcache::Route opcache_route_##symbol __attribute__((used)) = {                         \
      &opcache_first_##symbol, #symbol, reinterpret_cast<const void *>(&unserved)};       \
  asm("opcache_route " #symbol)

// A jump leaves registers and stack as the caller made them, which no function in C++ can promise
// for arguments that it does not know. The first call takes the way through route.cc.
asm(R"(
  .macro opcache_route symbol
    .pushsection .text
    .globl \symbol
    .type \symbol, @function
  \symbol:
    .cfi_startproc
    .byte 0xf3, 0x0f, 0x1e, 0xfa  # endbr64, by name unknown to assemblers before 2.29
    jmp *opcache_route_\symbol(%rip)
    .cfi_endproc
    .size \symbol, .-\symbol
    .hidden opcache_first_\symbol
  opcache_first_\symbol:
    .cfi_startproc
    .byte 0xf3, 0x0f, 0x1e, 0xfa  # endbr64, by name unknown to assemblers before 2.29
    leaq opcache_route_\symbol(%rip), %rax
    jmp opcache_first_call
    .cfi_endproc
    .popsection
  .endm
)");

}  // namespace opcache

#endif  // OPCACHE_ROUTE_H_

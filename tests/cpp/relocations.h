// The words of a loaded library that the dynamic linker puts addresses of named things in.
#pragma once

#include <elf.h>
#include <link.h>
#include <stddef.h>

// Calls f(name, word, type) for each; `base` and `dynamic` as the dynamic linker has them, which
// has made the addresses in `dynamic` absolute.
template <class F>
void for_each_relocation(ElfW(Addr) base, const ElfW(Dyn) * dynamic, const F &f) {
  const ElfW(Sym) *symbols = nullptr;
  const char *names = nullptr;
  const ElfW(Rela) * tables[2] = {nullptr, nullptr};
  size_t bytes[2] = {0, 0};
  for (const ElfW(Dyn) *d = dynamic; d != nullptr && d->d_tag != DT_NULL; ++d) {
    const auto at = d->d_un.d_ptr;
    if (d->d_tag == DT_SYMTAB) symbols = reinterpret_cast<const ElfW(Sym) *>(at);
    if (d->d_tag == DT_STRTAB) names = reinterpret_cast<const char *>(at);
    if (d->d_tag == DT_JMPREL) tables[0] = reinterpret_cast<const ElfW(Rela) *>(at);
    if (d->d_tag == DT_RELA) tables[1] = reinterpret_cast<const ElfW(Rela) *>(at);
    if (d->d_tag == DT_PLTRELSZ) bytes[0] = d->d_un.d_val;
    if (d->d_tag == DT_RELASZ) bytes[1] = d->d_un.d_val;
  }
  for (int t = 0; t < 2 && symbols != nullptr && names != nullptr; ++t) {
    for (size_t i = 0; i < bytes[t] / sizeof(ElfW(Rela)); ++i) {
      const ElfW(Rela) &r = tables[t][i];
      const size_t symbol = ELF64_R_SYM(r.r_info);
      if (symbol == 0) continue;
      f(names + symbols[symbol].st_name, reinterpret_cast<void **>(base + r.r_offset),
        ELF64_R_TYPE(r.r_info));
    }
  }
}

#!/usr/bin/env python3
"""Every check of check.py notices an offence planted against it, and is silent without one."""
import os
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
CLEAN = {
    ".clang-format": open(os.path.join(HERE, "..", "..", ".clang-format"), encoding="utf-8").read(),
    "base/a.h": "#ifndef BASE_A_H\n#define BASE_A_H\n\nint a(void); /* exp(x), strcpy(a, b) */\n\n"
                "#endif\n",
    "base/a.c": '#include "base/a.h"\n\nint a(void) {\n    return 1;\n}\n',
    "worker/b.c": '#include "base/a.h"\n\nint math_exp_like(void);\n',
    "run.sh": "#!/bin/sh\necho fine\n",
}


def run(check, extra, *arguments):
    """Exit code and output of a check on the clean tree with `extra` files laid over it."""
    with tempfile.TemporaryDirectory() as root:
        for path, text in {**CLEAN, **extra}.items():
            os.makedirs(os.path.dirname(os.path.join(root, path)), exist_ok=True)
            with open(os.path.join(root, path), "w", encoding="utf-8") as file:
                file.write(text)
        done = subprocess.run(
            [sys.executable, os.path.join(HERE, "check.py"), check, "--root", root, *arguments],
            text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        return done.returncode, done.stdout


class Check(unittest.TestCase):
    def notices(self, check, extra, place, *arguments):
        code, output = run(check, {}, *arguments)
        if code == 77:
            self.skipTest(output)
        self.assertEqual(code, 0, output)
        code, output = run(check, extra, *arguments)
        self.assertEqual(code, 1, output)
        self.assertIn(place, output)

    def test_include_direction__upward(self):
        self.notices("include_direction", {"base/c.c": '#include "io/log.h"\n'}, "base/c.c:1")

    def test_include_direction__sideways(self):
        self.notices("include_direction", {"worker/c.c": '\n#include "io/log.h"\n'}, "worker/c.c:2")

    def test_include_direction__relative(self):
        self.notices("include_direction", {"io/c.c": '#include "../base/a.h"\n'}, "io/c.c:1")

    def test_banned__unsafe(self):
        self.notices("banned", {"trainer/c.c": "void f(char *a) {\n    strcpy(a, a);\n}\n"},
                     "trainer/c.c:2")

    def test_banned__libm(self):
        self.notices("banned", {"schedulers/c.c": "double f(void) {\n    return expf (1);\n}\n"},
                     "schedulers/c.c:2")

    def test_banned__printing(self):
        self.notices("banned", {"worker/c.c": 'void f(void) {\n    printf("a");\n}\n'},
                     "worker/c.c:2")

    def test_banned__left_over(self):
        self.notices("banned", {"io/c.c": "/* TODO: later */\n"}, "io/c.c:1")

    def test_file_length__too_long(self):
        self.notices("file_length", {"io/c.c": "\n" * 601}, "io/c.c:601")

    def test_machine_paths__in_a_comment(self):
        self.notices("machine_paths", {"io/c.c": "/* see /home/me/notes */\n"}, "io/c.c:1")

    def test_format__indented_otherwise(self):
        self.notices("format", {"io/c.c": "int a(void) {\n  return 1;\n}\n"}, "io/c.c:1")

    def test_headers_alone__missing_include(self):
        self.notices("headers_alone", {"io/c.h": "#ifndef IO_C_H\n#define IO_C_H\n"
                                                 "size_t c(void);\n#endif\n"}, "io/c.h:1")

    def test_headers_alone__missing_guard(self):
        self.notices("headers_alone", {"io/c.h": "struct c {\n    int a;\n};\n"}, "io/c.h:1",
                     "--compiler", "clang")

    def test_shell__unquoted(self):
        self.notices("shell", {"run.sh": "#!/bin/sh\nrm $1\n"}, "run.sh:2")


if __name__ == "__main__":
    unittest.main()

"""The program: parse, call a command, print what went wrong. Nothing heavy is imported before a command needs it."""

import os
import sys
import traceback
from collections.abc import Sequence

from genexp.commands import command
from genexp.commands.parser import make_parser
from genexp.errors import Interrupted, UserError, circumstance, unknown
from genexp.machine.garbage import starting
from genexp.machine.launch import launch, leave_the_word_to_the_first
from genexp.printable import is_hostile, printable, shortened, speak_safely


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code (0 done, 1 defect, 2 the user's mistake, 130/143 stopped)."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if arguments[:1] == ["complete"]:  # asked by a shell's script, not by a user
        from genexp.completion.words import answer

        return answer(arguments[1:])
    show_traceback = "--traceback" in arguments
    starting()
    speak_safely()
    try:
        return _call([word for word in arguments if word != "--traceback"])
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (UserError, OSError, MemoryError, RuntimeError) as failure:
        mistake = failure if isinstance(failure, UserError) else circumstance(failure)
        if mistake is None:
            raise
        leave_the_word_to_the_first()
        if show_traceback:
            traceback.print_exc()
        for kind, said in (("error", mistake.message), ("hint", mistake.hint)):
            if said:
                print(f"{kind}: {printable(shortened(said))}", file=sys.stderr)
        return 2


def _call(arguments: Sequence[str]) -> int:
    """Do what was asked; a signal that stopped it becomes its exit code."""
    for word in arguments:
        if is_hostile(word):
            raise UserError(f"'{word}' holds what is not text")
    parser = make_parser()
    options, rest = parser.parse_known_args(arguments)
    if options.version:
        from importlib.metadata import version

        print(f"genexp {version('genexp')}")
        return 0
    module = command(options.command) if options.command else None
    takes_overrides = getattr(module, "OVERRIDES", False)
    strange = [word for word in rest if word.startswith("-") or not takes_overrides]
    if strange:
        raise unknown("argument", strange[0], options.options if module else parser.options())
    if module is None:
        parser.print_help()
        return 0
    if launch().size > 1:
        if not getattr(module, "DISTRIBUTED", False):
            raise UserError(f"torchrun: 'genexp {options.command}' is the work of one process", hint="start it without torchrun")
        os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")  # torch advises on DistributedDataParallel once a process
    try:
        if getattr(options, "plugin", None):
            from genexp.plugins import load_plugin

            for path in options.plugin:
                load_plugin(path)
        return module.call(options, rest)
    except Interrupted as stop:
        return stop.exit_code

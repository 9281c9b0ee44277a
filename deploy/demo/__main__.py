"""The demo from the command line: `python -m deploy.demo [--target URL] [--model NAME]`, on a stack that is up."""

import argparse
import asyncio
import io
import os
import sys

import aiohttp

from deploy.demo.evaluation import Demo, Places, Target
from deploy.demo.gateway import DemoFailedError, Gateway
from deploy.demo.screen import open_console
from deploy.local.files import Folders
from deploy.local.settings import default_directory, parse_env_file

REQUEST_SECONDS = 60.0


def main() -> int:
    """Shows the demo; 1 with a sentence if it could not be shown to its end."""
    arguments = _arguments()
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A terminal that cannot show a character shows a question mark.
        sys.stdout.reconfigure(errors="replace")
    try:
        asyncio.run(_show(_target(arguments)))
        sys.stdout.flush()
    except DemoFailedError as failure:
        sys.stdout.flush()
        sys.stderr.write(f"The demo could not go on. {failure}\n")
        return 1
    except BrokenPipeError:
        # Whoever read us has seen enough; Python would complain once more while it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted. Runs that were started go on; `make down` stops the stack.\n")
        return 130
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m deploy.demo", description=__doc__)
    parser.add_argument("--target", default="", help="base URL of an OpenAI-compatible endpoint, ending in /v1, to evaluate instead")
    parser.add_argument("--model", default="", help="the model to ask for there")
    return parser.parse_args()


def _target(arguments: argparse.Namespace) -> Target | None:
    if arguments.model and not arguments.target:
        raise DemoFailedError("--model names a model of an endpoint; --target must say which, as http://127.0.0.1:11434/v1.")
    return Target(arguments.target, arguments.model, os.environ.get("OPENAI_API_KEY", "")) if arguments.target else None


async def _show(target: Target | None) -> None:
    folders = Folders(default_directory())
    if not folders.env.exists():
        raise DemoFailedError(f"There is no {folders.env}: the stack was never started; `make up` starts it.")
    env = parse_env_file(folders.env.read_text())
    headers = {"authorization": f"Bearer {env['ASSAY_TOKEN']}"}
    async with aiohttp.ClientSession(headers=headers, timeout=aiohttp.ClientTimeout(total=REQUEST_SECONDS)) as session:
        demo = Demo(open_console(), Gateway(session, env["ASSAY_URL"]), Places(folders.env, folders.root / "demo", env["ASSAY_PROJECT_ID"]))
        await demo.show(target)


if __name__ == "__main__":
    sys.exit(main())

"""What the command line does when all is well, and when it is interrupted."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from conftest import PROTOCOL, STUDENTS
from typer.main import get_command

from hydrometer import cli, registry
from hydrometer.artifact import container
from hydrometer.methods.select import manifest
from hydrometer.store import Store

COMMANDS = get_command(cli.app).commands
KINDS = [cli.list_.plural(kind) for kind in registry.PACKAGES]
PROGRAM = [sys.executable, "-c", "from hydrometer.cli import main; main()"]

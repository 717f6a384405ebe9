"""Makes messages from a seed and says what Dovecot answers about them.

usage: dovecot.py SEED COUNT

One message after another, each in lines; what follows the letter is in hexadecimal:
    M octets    the message
    B octets    its BODYSTRUCTURE, without the outer parentheses
    E octets    its ENVELOPE, without the outer parentheses

As root, doveadm is run as nobody: it does not
touch mail as root.
"""

import os
import random
import re
import shutil
import subprocess
import sys
import tempfile

from opinions import sound

CONFIGURATION = """
base_dir = {home}/run
mail_location = maildir:{home}/mail
mail_home = {home}
log_path = {home}/log
first_valid_uid = 1
ssl = no
"""


def main():
    seed, count = int(sys.argv[1]), int(sys.argv[2])
    doveadm = shutil.which("doveadm")
    as_root = os.getuid() == 0
    if doveadm is None or as_root and shutil.which("setpriv") is None:
        sys.exit("doveadm (and setpriv, as root) must be installed")
    rng = random.Random(seed)
    home = tempfile.mkdtemp()
    try:
        messages = []
        for folder in ["cur", "new", "tmp"]:
            os.makedirs("%s/mail/%s" % (home, folder))
        for number in range(count):
            message = sound(rng)
            if rng.random() < 0.4:
                message = message.replace(b"\r\n", b"\n")
            messages.append(message)
            with open("%s/mail/cur/%d.M%06d.host:2,S" % (home, 10**6 + number, number), "wb") as file:
                file.write(message)
        with open(home + "/dovecot.conf", "w") as file:
            file.write(CONFIGURATION.format(home=home))
        command = [doveadm, "-c", home + "/dovecot.conf", "fetch"]
        command += ["uid imap.bodystructure imap.envelope", "all"]
        if as_root:
            subprocess.run(["chown", "-R", "65534:65534", home], check=True)
            command = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] + command
        environment = {"HOME": home, "USER": "nobody", "PATH": os.environ["PATH"]}
        answer = subprocess.run(command, env=environment, capture_output=True, check=True).stdout
        pattern = (
            rb"uid: (\d+)\nimap.bodystructure: (.*?)\nimap.envelope: (.*?)\n"
            rb"(?=\x0c?\n?uid: |\x0c?\n?\Z)"
        )
        answers = re.findall(pattern, answer, re.DOTALL)
        assert [int(number) for number, _, _ in answers] == list(range(1, count + 1))
        for message, (_, body, envelope) in zip(messages, answers):
            print("M", message.hex())
            print("B", body.hex())
            print("E", envelope.hex())
    finally:
        shutil.rmtree(home)


main()

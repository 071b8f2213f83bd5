from tools.sbom import LOCK, pins, project

LINES = r"""one==1.0 \
    --hash=sha256:aa \
    --hash=sha256:bb
    # via two
two-three[extra]==2.0.post1 ; python_version < '3.12' and sys_platform == 'linux' \
    --hash=sha256:cc
"""


def test_a_project_depends_on_exactly_the_versions_of_the_lock_file() -> None:
    assert pins(LINES) == {"one": "1.0", "two-three": "2.0.post1"}
    assert project(LINES).splitlines()[4:] == [
        "dependencies = [",
        '    "one==1.0",',
        "    \"two-three[extra]==2.0.post1 ; python_version < '3.12' and sys_platform == 'linux'\",",
        "]",
    ]


def test_every_package_of_the_lock_file_is_found() -> None:
    lock = LOCK.read_text("utf-8")

    assert len(pins(lock)) == sum(1 for line in lock.splitlines() if line[:1].isalnum())

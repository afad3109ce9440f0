import os
import subprocess
import sys

import pytest

from scs.cores import limit_libraries, processor_quota, usable_cores, use_threads

V2 = "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw"
V1 = "32 31 0:29 {seen} /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct"


@pytest.fixture(autouse=True)
def no_choice(monkeypatch):
    monkeypatch.delenv("SCS_THREADS", raising=False)


def system(root, groups, mounts, files):
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(groups)
    (root / "proc/self/mountinfo").write_text(mounts)
    for path, text in files.items():
        (root / "sys/fs/cgroup" / path).parent.mkdir(parents=True, exist_ok=True)
        (root / "sys/fs/cgroup" / path).write_text(text)
    return root


@pytest.mark.parametrize(
    ("text", "cores"), [("50000 100000\n", 0.5), ("max 100000\n", None), ("150000 100000\n", 1.5), ("nonsense", None)]
)
def test_a_container_of_version_2_sees_its_quota_at_the_root(tmp_path, text, cores):
    assert processor_quota(system(tmp_path, "0::/\n", V2, {"cpu.max": text})) == cores


def test_the_least_quota_of_a_group_and_those_above_it_counts(tmp_path):
    files = {"a/cpu.max": "200000 100000", "a/b/cpu.max": "max 100000", "a/b/c/cpu.max": "300000 100000"}
    files["a/b/c/other/cpu.max"] = "1000 100000"  # not one of its own
    assert processor_quota(system(tmp_path, "0::/a/b/c\n", V2, files)) == 2


def test_a_group_of_version_1_has_its_quota_in_two_files(tmp_path):
    files = {"cpu,cpuacct/cpu.cfs_quota_us": "-1", "cpu,cpuacct/cpu.cfs_period_us": "100000"}
    files |= {"cpu,cpuacct/pod/cpu.cfs_quota_us": "250000", "cpu,cpuacct/pod/cpu.cfs_period_us": "100000"}
    groups = "5:memory:/other\n4:cpu,cpuacct:/pod\n1:name=systemd:/\n0::/\n"
    assert processor_quota(system(tmp_path, groups, f"{V1.format(seen='/')}\n{V2}", files)) == 2.5


def test_a_container_without_a_namespace_reads_a_path_of_the_host(tmp_path):
    files = {"cpu,cpuacct/cpu.cfs_quota_us": "50000", "cpu,cpuacct/cpu.cfs_period_us": "100000"}
    root = system(tmp_path, "4:cpu,cpuacct:/docker/abc\n", V1.format(seen="/docker/abc"), files)
    assert processor_quota(root) == 0.5


def test_a_path_that_is_not_below_the_mount_counts_as_the_mount(tmp_path):
    root = system(tmp_path, "0::/../elsewhere\n", V2, {"cpu.max": "100000 100000"})
    assert processor_quota(root) == 1


def test_without_control_groups_there_is_no_quota(tmp_path):
    assert processor_quota(tmp_path) is None


@pytest.mark.parametrize(("quota", "cores"), [(None, 64), (0.5, 1), (1.5, 2), (8.0, 8), (100.0, 64)])
def test_usable_cores_are_those_of_the_mask_or_as_many_as_the_quota_pays_for(monkeypatch, quota, cores):
    monkeypatch.setattr("scs.cores._own_quota", lambda: quota)
    monkeypatch.setattr("scs.cores._affine_cores", lambda: 64)
    assert usable_cores() == cores


def test_a_number_of_threads_that_was_chosen_wins(monkeypatch):
    monkeypatch.setattr("scs.cores._own_quota", lambda: 0.5)
    monkeypatch.setenv("SCS_THREADS", "")
    use_threads(None)
    assert usable_cores() == 1
    use_threads(5)
    assert usable_cores() == 5 and os.environ["SCS_THREADS"] == "5"


def test_libraries_are_told_of_a_quota_and_of_nothing_else(monkeypatch):
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS", "OPENCV_FOR_THREADS_NUM")
    for name in names:
        monkeypatch.setenv(name, "")  # put back after the test
        monkeypatch.delenv(name)
    monkeypatch.setattr("scs.cores._affine_cores", lambda: 8)
    monkeypatch.setattr("scs.cores._own_quota", lambda: None)
    limit_libraries()
    assert not any(name in os.environ for name in names)
    monkeypatch.setattr("scs.cores._own_quota", lambda: 2.5)
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    limit_libraries()
    assert [os.environ[name] for name in names] == ["7", "3", "3", "3"]


def test_opencv_and_numpy_go_by_what_they_are_told():
    code = (
        "import os; os.sched_getaffinity = lambda pid: set(range(64)); os.environ['SCS_THREADS'] = '3'\n"
        "from scs.cores import limit_libraries; limit_libraries()\n"
        "import cv2, numba; print(cv2.getNumThreads(), numba.config.NUMBA_NUM_THREADS)"
    )
    bare = {name: value for name, value in os.environ.items() if not name.endswith(("_NUM_THREADS", "_THREADS_NUM"))}
    done = subprocess.run([sys.executable, "-c", code], env=bare, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["3", "3"]

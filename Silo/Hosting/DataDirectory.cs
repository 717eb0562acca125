namespace MultiCluster.Silo.Hosting;

/// <summary>Holds the data directory for one process: two writers would overwrite each other's registrations.</summary>
internal sealed class DataDirectory : IDisposable
{
    private readonly FileStream _lock;

    private DataDirectory(string path, FileStream held)
    {
        Path = path;
        _lock = held;
    }

    /// <summary>Absolute path.</summary>
    public string Path { get; }

    /// <summary>Creates the directory for its owner only if need be, and holds it.</summary>
    /// <exception cref="ServiceStartException">It cannot be used, or another process holds it.</exception>
    public static DataDirectory Open(string path)
    {
        string full = System.IO.Path.GetFullPath(path);
        try
        {
            if (OperatingSystem.IsWindows())
            {
                Directory.CreateDirectory(full);
            }
            else
            {
                Directory.CreateDirectory(full, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new ServiceStartException($"The data directory {full} cannot be created ({e.GetType().Name}); name another with --data.");
        }

        try
        {
            return new DataDirectory(full, new FileStream(System.IO.Path.Combine(full, "lock"), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None));
        }
        catch (UnauthorizedAccessException)
        {
            throw new ServiceStartException($"The data directory {full} cannot be written; correct its owner, or name another with --data.");
        }
        catch (IOException)
        {
            throw new ServiceStartException($"Another process uses the data directory {full}; stop it, or name another with --data.");
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _lock.Dispose();
}

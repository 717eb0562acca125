namespace MultiCluster.Silo.Hosting;

/// <summary>Holds the data directory for one process: two writers would overwrite each other's registrations.</summary>
internal sealed class DataDirectory : IDisposable
{
    /// <summary>Subfolder of the keys that encrypt the credentials.</summary>
    public const string KeysFolder = "keys";

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
            Create(full);
            Create(System.IO.Path.Combine(full, KeysFolder));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new ServiceStartException($"The data directory {full} cannot be created ({e.GetType().Name}); name another with --data.");
        }

        try
        {
            return new DataDirectory(full, new FileStream(System.IO.Path.Combine(full, "lock"), OwnersOnly(FileMode.OpenOrCreate)));
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

    /// <summary>Writes a file that only its owner reads.</summary>
    public async Task WriteAsync(string name, string content, CancellationToken cancellationToken)
    {
        string path = System.IO.Path.Combine(Path, name);
        File.Delete(path);   // a file that is there keeps its rights
        await using var file = new StreamWriter(path, OwnersOnly(FileMode.CreateNew));
        await file.WriteAsync(content.AsMemory(), cancellationToken);
    }

    private static void Create(string path)
    {
        if (OperatingSystem.IsWindows())
        {
            Directory.CreateDirectory(path);
        }
        else
        {
            Directory.CreateDirectory(path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        }
    }

    private static FileStreamOptions OwnersOnly(FileMode mode)
    {
        var options = new FileStreamOptions { Mode = mode, Access = FileAccess.ReadWrite, Share = FileShare.None };
        if (!OperatingSystem.IsWindows())
        {
            options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        }

        return options;
    }

    /// <inheritdoc/>
    public void Dispose() => _lock.Dispose();
}

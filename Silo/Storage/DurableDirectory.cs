using System.ComponentModel;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;

namespace MultiCluster.Silo.Storage;

/// <summary>A directory whose files are replaced whole or not at all, also when power fails, and belong to one process at a time.</summary>
/// <remarks>Thread-safe for different files; the caller orders what it does to one file. Blocks on the disk.</remarks>
internal sealed class DurableDirectory : IDisposable
{
    private const string TemporarySuffix = ".tmp";
    private const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    // File names may have 255 bytes; a name joins two parts and gets a suffix while it is written.
    private const int MaxPartLength = 100;

    private readonly FileStream _lock;

    public DurableDirectory(string path)
    {
        Root = Path.GetFullPath(path);
        EnsureDirectory(Root);
        string lockFile = Path.Combine(Root, ".lock");
        try
        {
            _lock = new FileStream(lockFile, NewFile(FileMode.OpenOrCreate));
        }
        catch (IOException e)
        {
            throw new IOException($"Data directory {Root} is in use by another process ({lockFile} is locked). Stop that one or choose another directory.", e);
        }

        foreach (string leftover in Directory.EnumerateFiles(Root, "*" + TemporarySuffix, SearchOption.AllDirectories))
        {
            File.Delete(leftover);   // a write that a crash cut off; the file itself is whole
        }
    }

    public string Root { get; }

    /// <summary>A file or folder name for any text, different for different texts also where case is ignored.</summary>
    public static string NameFor(string text)
    {
        var name = new StringBuilder(text.Length);
        foreach (byte b in Encoding.UTF8.GetBytes(text))
        {
            char c = (char)b;
            if (char.IsAsciiLetterLower(c) || char.IsAsciiDigit(c) || c is '-' or '_')
            {
                name.Append(c);
            }
            else
            {
                name.Append('%').Append(b.ToString("X2", CultureInfo.InvariantCulture));
            }
        }

        if (name.Length <= MaxPartLength)
        {
            return name.Length == 0 ? "~" : name.ToString();
        }

        // "~" stands in no short name, so a cut name never meets a whole one.
        return $"{name.ToString(0, MaxPartLength - 33)}~{Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text)).AsSpan(0, 16))}";
    }

    /// <summary>The file's bytes; null when there is no such file.</summary>
    public static byte[]? TryRead(string path)
    {
        try
        {
            return File.ReadAllBytes(path);
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            return null;
        }
    }

    /// <summary>Replaces the file; when this returns, the new content survives a power cut.</summary>
    public void Write(string path, ReadOnlySpan<byte> content)
    {
        string folder = Path.GetDirectoryName(path)!;
        EnsureDirectory(folder);
        string temporary = $"{path}.{Guid.NewGuid():N}{TemporarySuffix}";
        try
        {
            using (var file = new FileStream(temporary, NewFile(FileMode.CreateNew)))
            {
                file.Write(content);
                file.Flush(flushToDisk: true);
            }

            File.Move(temporary, path, overwrite: true);
        }
        catch
        {
            File.Delete(temporary);
            throw;
        }

        FlushDirectory(folder);
    }

    /// <summary>Deletes the file; when this returns, it stays deleted.</summary>
    public static void Delete(string path)
    {
        string folder = Path.GetDirectoryName(path)!;
        if (Directory.Exists(folder))
        {
            File.Delete(path);
            FlushDirectory(folder);
        }
    }

    public void Dispose() => _lock.Dispose();

    private static FileStreamOptions NewFile(FileMode mode)
    {
        var options = new FileStreamOptions { Mode = mode, Access = FileAccess.ReadWrite, Share = FileShare.None };
        if (!OperatingSystem.IsWindows())
        {
            options.UnixCreateMode = OwnerOnly;
        }

        return options;
    }

    private static void EnsureDirectory(string path)
    {
        if (Directory.Exists(path))
        {
            return;
        }

        string? parent = Path.GetDirectoryName(path);
        if (parent is not null)
        {
            EnsureDirectory(parent);
        }

        if (OperatingSystem.IsWindows())
        {
            Directory.CreateDirectory(path);
        }
        else
        {
            Directory.CreateDirectory(path, OwnerOnly | UnixFileMode.UserExecute);
        }

        if (parent is not null)
        {
            FlushDirectory(parent);
        }
    }

    // A rename is durable only when the directory is flushed as well; .NET opens no directories, and Windows needs none of this.
    private static void FlushDirectory(string path)
    {
        if (OperatingSystem.IsWindows())
        {
            return;
        }

        int descriptor = Posix.Open([.. Encoding.UTF8.GetBytes(path), 0], Posix.ReadOnly);
        if (descriptor < 0)
        {
            throw new IOException($"Directory {path} cannot be flushed to disk.", new Win32Exception(Marshal.GetLastPInvokeError()));
        }

        int flushed = Posix.Fsync(descriptor);
        int error = Marshal.GetLastPInvokeError();
        _ = Posix.Close(descriptor);
        if (flushed < 0 && error != Posix.NotSupportedHere)
        {
            throw new IOException($"Directory {path} cannot be flushed to disk.", new Win32Exception(error));
        }
    }

    private static class Posix
    {
        public const int ReadOnly = 0;

        // EINVAL: file systems without such a flush (some network mounts) say so this way.
        public const int NotSupportedHere = 22;

        [DllImport("libc", EntryPoint = "open", SetLastError = true)]
        [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
        public static extern int Open(byte[] path, int flags);

        [DllImport("libc", EntryPoint = "fsync", SetLastError = true)]
        [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
        public static extern int Fsync(int descriptor);

        [DllImport("libc", EntryPoint = "close", SetLastError = true)]
        [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
        public static extern int Close(int descriptor);
    }
}

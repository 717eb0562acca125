using System.Security.Cryptography;
using System.Text;

namespace MultiCluster.Gateway.Security;

/// <summary>The token of the first administrator, created on first start and kept in the data directory.</summary>
/// <remarks>Immutable and thread-safe. Comparisons take the same time whatever the candidate, and the token never appears in <see cref="ToString"/>.</remarks>
public sealed class AdminToken
{
    private const string FileName = "admin-token";

    // 256 bits, beyond guessing.
    private const int TokenBytes = 32;

    // Shorter than this was written by hand, and can be guessed.
    private const int ShortestToken = 32;

    private readonly byte[] _digest;

    private AdminToken(string value)
    {
        Value = value;
        _digest = SHA256.HashData(Encoding.UTF8.GetBytes(value));
    }

    /// <summary>The token in clear: for the first start's instructions and the kubeconfig only.</summary>
    public string Value { get; }

    /// <summary>Reads the token from the directory, or draws one. To change it, delete the file and start again.</summary>
    /// <exception cref="InvalidDataException">The file is there but holds no usable token.</exception>
    public static AdminToken LoadOrCreate(string directory, out bool created)
    {
        SecurityFiles.EnsureDirectory(directory);
        string path = Path.Combine(directory, FileName);
        created = !File.Exists(path);
        if (created)
        {
            string value = $"mc_{Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(TokenBytes))}";
            SecurityFiles.Write(path, value + "\n");
            return new AdminToken(value);
        }

        string kept = File.ReadAllText(path).Trim();
        return kept.Length >= ShortestToken
            ? new AdminToken(kept)
            : throw new InvalidDataException($"{path} holds no usable token: at least {ShortestToken} characters are needed. Delete it to have one drawn.");
    }

    /// <summary>Whether the candidate is the token.</summary>
    public bool Matches(string candidate) =>
        CryptographicOperations.FixedTimeEquals(_digest, SHA256.HashData(Encoding.UTF8.GetBytes(candidate)));

    /// <inheritdoc/>
    public override string ToString() => "AdminToken";
}

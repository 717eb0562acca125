using Orleans.Runtime;

namespace Orleans.Runtime
{
    /// <summary>Root of what the runtime itself reports.</summary>
    [GenerateSerializer]
    public class OrleansException : Exception
    {
        /// <summary>Without words.</summary>
        public OrleansException()
        {
        }

        /// <summary>With a message.</summary>
        public OrleansException(string message) : base(message)
        {
        }

        /// <summary>With a message and a cause.</summary>
        public OrleansException(string message, Exception? innerException) : base(message, innerException)
        {
        }
    }

    /// <summary>A call that was not made; the callee never saw it.</summary>
    [GenerateSerializer]
    public class OrleansMessageRejectionException : OrleansException
    {
        internal OrleansMessageRejectionException(string message, Exception? innerException = null) : base(message, innerException)
        {
        }
    }

    /// <summary>The runtime is stopping or has stopped.</summary>
    [GenerateSerializer]
    public sealed class SiloUnavailableException : OrleansMessageRejectionException
    {
        /// <summary>With a message.</summary>
        public SiloUnavailableException(string msg) : base(msg)
        {
        }

        /// <summary>With a message and a cause.</summary>
        public SiloUnavailableException(string message, Exception innerException) : base(message, innerException)
        {
        }
    }

    /// <summary>A bound of the runtime was reached, such as the calls that may wait for one activation. Try again later.</summary>
    [GenerateSerializer]
    public sealed class LimitExceededException : OrleansException
    {
        /// <summary>Without words.</summary>
        public LimitExceededException() : base("Limit exceeded")
        {
        }

        /// <summary>With a message.</summary>
        public LimitExceededException(string message) : base(message)
        {
        }

        /// <summary>With a message and a cause.</summary>
        public LimitExceededException(string message, Exception innerException) : base(message, innerException)
        {
        }

        /// <summary>With the numbers.</summary>
        public LimitExceededException(string limitName, int current, int threshold, object extraInfo)
            : base($"{limitName} of {threshold} was exceeded: {current}. {extraInfo}")
        {
        }
    }

    /// <summary>The producer of a stream is gone: its activation ended, or the reader was silent for too long. Read again from the start.</summary>
    [GenerateSerializer]
    public sealed class EnumerationAbortedException : Exception
    {
        /// <summary>Without words.</summary>
        public EnumerationAbortedException()
        {
        }

        /// <summary>With a message.</summary>
        public EnumerationAbortedException(string message) : base(message)
        {
        }

        /// <summary>With a message and a cause.</summary>
        public EnumerationAbortedException(string message, Exception innerException) : base(message, innerException)
        {
        }
    }

    /// <summary>The registrations do not fit together.</summary>
    [GenerateSerializer]
    public class OrleansConfigurationException : Exception
    {
        /// <summary>With a message.</summary>
        public OrleansConfigurationException(string message) : base(message)
        {
        }

        /// <summary>With a message and a cause.</summary>
        public OrleansConfigurationException(string message, Exception innerException) : base(message, innerException)
        {
        }
    }
}

namespace Orleans.Storage
{
    /// <summary>The stored state is not the one that the grain read: somebody else wrote it. The activation ends and reads anew.</summary>
    [GenerateSerializer]
    public class InconsistentStateException : OrleansException
    {
        /// <summary>Without words.</summary>
        public InconsistentStateException()
        {
        }

        /// <summary>With a message.</summary>
        public InconsistentStateException(string message) : base(message)
        {
        }

        /// <summary>With a message and a cause.</summary>
        public InconsistentStateException(string message, Exception? innerException) : base(message, innerException)
        {
        }

        /// <summary>With both tags.</summary>
        public InconsistentStateException(string errorMsg, string? storedEtag, string? currentEtag)
            : base($"{errorMsg} Stored tag: {storedEtag ?? "none"}, expected tag: {currentEtag ?? "none"}.")
        {
            StoredEtag = storedEtag;
            CurrentEtag = currentEtag;
        }

        /// <summary>The tag in the store.</summary>
        [Id(1)]
        public string? StoredEtag { get; }

        /// <summary>The tag that the grain had read.</summary>
        [Id(2)]
        public string? CurrentEtag { get; }
    }

    /// <summary>A storage provider is missing or wrongly set up.</summary>
    [GenerateSerializer]
    public sealed class BadProviderConfigException : OrleansException
    {
        /// <summary>Without words.</summary>
        public BadProviderConfigException()
        {
        }

        /// <summary>With a message.</summary>
        public BadProviderConfigException(string msg) : base(msg)
        {
        }

        /// <summary>With a message and a cause.</summary>
        public BadProviderConfigException(string msg, Exception exc) : base(msg, exc)
        {
        }
    }
}

namespace Orleans.Runtime.Messaging
{
    /// <summary>There is no connection to the silo that a call must go through. Never thrown here, where no call leaves the process.</summary>
    [GenerateSerializer]
    public class ConnectionFailedException : OrleansException
    {
        /// <summary>With a message.</summary>
        public ConnectionFailedException(string message) : base(message)
        {
        }
    }
}
